package expr

import (
	"slices"
	"strings"

	"github.com/tuplix/tuplix/dbms/table/value"
)

// Op is what a Node does.
type Op uint8

// The operations.
const (
	Column  Op = iota // the value of a column
	Literal           // a constant
	Or
	And
	Not
	IsNull
	IsNotNull
	Equal
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
)

var symbols = map[Op]string{Equal: "=", NotEqual: "<>", Less: "<", LessEqual: "<=", Greater: ">", GreaterEqual: ">="}

// Node is an expression.
type Node struct {
	Op    Op
	Name  string      // of a Column
	Value value.Value // of a Literal
	Args  []*Node     // operands
}

// String writes the expression so that Parse reads it.
func (n *Node) String() string {
	switch n.Op {
	case Column:
		return n.Name
	case Literal:
		return n.Value.Literal()
	case Or:
		return n.Args[0].String() + " or " + n.Args[1].String()
	case And:
		return n.Args[0].operand(And) + " and " + n.Args[1].operand(And)
	case Not:
		return "not " + n.Args[0].operand(Not)
	case IsNull:
		return n.Args[0].String() + " is null"
	case IsNotNull:
		return n.Args[0].String() + " is not null"
	}
	return n.Args[0].String() + " " + symbols[n.Op] + " " + n.Args[1].String()
}

// operand writes n as part of an expression of the given operation.
func (n *Node) operand(of Op) string {
	if n.Op == Or || of == Not && (n.Op == And || n.Op == Not) {
		return "(" + n.String() + ")"
	}
	return n.String()
}

// Columns returns the names of the columns in n, sorted.
func (n *Node) Columns() []string {
	var names []string
	n.walk(func(m *Node) {
		if m.Op == Column {
			names = append(names, m.Name)
		}
	})
	slices.Sort(names)
	return slices.Compact(names)
}

func (n *Node) walk(fn func(*Node)) {
	fn(n)
	for _, a := range n.Args {
		a.walk(fn)
	}
}

// Rename returns n with another name for a column.
func (n *Node) Rename(from, to string) *Node {
	m := *n
	if m.Op == Column && m.Name == from {
		m.Name = to
	}
	m.Args = slices.Clone(n.Args)
	for i, a := range m.Args {
		m.Args[i] = a.Rename(from, to)
	}
	return &m
}

// IsName reports whether s can be the name of a column: a letter or _, letters,
// digits and _, all of ASCII and lower case, and no word of the language.
func IsName(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && !slices.Contains(words, s)
}

var words = strings.Fields("and or not is null true false")
