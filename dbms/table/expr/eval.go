package expr

import (
	"fmt"

	"github.com/tuplix/tuplix/dbms/table/value"
)

// Truth is what a condition comes to.
type Truth int8

// A condition with null in it may be neither true nor false.
const (
	False   Truth = -1
	Unknown Truth = 0
	True    Truth = 1
)

// Ref is a column as Bind finds it by its name.
type Ref struct {
	Index int // by which Eval asks for its value
	Type  value.Type
}

// Cond is an expression bound to the columns of a table.
type Cond struct {
	op    Op
	index int
	value value.Value
	args  []*Cond
}

// Bind looks up the columns of n and brings its constants to their types.
func Bind(n *Node, lookup func(name string) (Ref, bool)) (*Cond, error) {
	c, typ, err := bind(n, lookup)
	if err == nil && typ != value.Bool {
		err = fmt.Errorf("%s is not a condition but a %s", n, typ)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func bind(n *Node, lookup func(string) (Ref, bool)) (*Cond, value.Type, error) {
	c := &Cond{op: n.Op, value: n.Value}
	switch n.Op {
	case Column:
		ref, ok := lookup(n.Name)
		if !ok {
			return nil, 0, fmt.Errorf("there is no column %s", n.Name)
		}
		c.index = ref.Index
		return c, ref.Type, nil
	case Literal:
		return c, n.Value.Type(), nil
	}
	types := make([]value.Type, len(n.Args))
	for i, a := range n.Args {
		arg, typ, err := bind(a, lookup)
		if err != nil {
			return nil, 0, err
		}
		c.args, types[i] = append(c.args, arg), typ
	}
	return c, value.Bool, c.checkTypes(n, types)
}

func (c *Cond) checkTypes(n *Node, types []value.Type) error {
	switch c.op {
	case IsNull, IsNotNull:
		return nil
	case And, Or, Not:
		for i, t := range types {
			if t != value.Bool {
				return fmt.Errorf("%s is not a condition but a %s", n.Args[i], t)
			}
		}
		return nil
	}
	left, right := c.args[0], c.args[1]
	var err error
	switch {
	case types[0] == types[1]:
	case right.op == Literal:
		right.value, err = value.Convert(right.value, types[0])
	case left.op == Literal:
		left.value, err = value.Convert(left.value, types[1])
	default:
		err = fmt.Errorf("%s and %s are not of one type", types[0], types[1])
	}
	if err != nil {
		return fmt.Errorf("in %s: %w", n, err)
	}
	return nil
}

// Eval says what the condition is for a row, whose values it asks for by the
// indexes that Bind was given.
func (c *Cond) Eval(row func(i int) value.Value) Truth {
	switch c.op {
	case And:
		return min(c.args[0].Eval(row), c.args[1].Eval(row))
	case Or:
		return max(c.args[0].Eval(row), c.args[1].Eval(row))
	case Not:
		return -c.args[0].Eval(row)
	case Column, Literal:
		if v := c.get(row); !v.IsNull() {
			return truth(v.Bool())
		}
		return Unknown
	case IsNull:
		return truth(c.args[0].get(row).IsNull())
	case IsNotNull:
		return truth(!c.args[0].get(row).IsNull())
	}
	a, b := c.args[0].get(row), c.args[1].get(row)
	if a.IsNull() || b.IsNull() {
		return Unknown
	}
	return truth(holds(c.op, value.Compare(a, b)))
}

func (c *Cond) get(row func(int) value.Value) value.Value {
	switch c.op {
	case Column:
		return row(c.index)
	case Literal:
		return c.value
	}
	switch c.Eval(row) {
	case True:
		return value.OfBool(true)
	case False:
		return value.OfBool(false)
	}
	return value.Value{}
}

func truth(b bool) Truth {
	if b {
		return True
	}
	return False
}

func holds(op Op, order int) bool {
	switch op {
	case Equal:
		return order == 0
	case NotEqual:
		return order != 0
	case Less:
		return order < 0
	case LessEqual:
		return order <= 0
	case Greater:
		return order > 0
	}
	return order >= 0
}
