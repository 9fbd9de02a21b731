package expr

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/tuplix/tuplix/dbms/table/value"
)

const (
	maxText  = 4096 // bytes of an expression
	maxDepth = 64   // of nesting
)

// Parse reads an expression.
func Parse(text string) (*Node, error) {
	p := &parser{text: text}
	if len(text) > maxText {
		return nil, fmt.Errorf("expression of %d bytes; at most %d", len(text), maxText)
	}
	p.next()
	n := p.or()
	if p.err == nil && p.token != "" {
		p.fail("expected the end or an operator")
	}
	if p.err != nil {
		return nil, p.err
	}
	return n, nil
}

// parser reads tokens: words in lower case, symbols, and constants as they are.
type parser struct {
	text  string
	pos   int // after token
	start int // of token
	token string
	depth int
	err   error
}

func (p *parser) fail(why string) {
	if p.err == nil {
		p.err = fmt.Errorf("%s at %q in %q", why, p.text[p.start:], p.text)
	}
	p.token = ""
}

func (p *parser) next() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\n\r", p.text[p.pos]) >= 0 {
		p.pos++
	}
	p.start = p.pos
	n := tokenSize(p.text[p.pos:])
	if n < 0 {
		p.fail("cannot be read")
		return
	}
	p.pos += n
	p.token = p.text[p.start:p.pos]
	if p.token != "" && letter(p.token[0]) && p.token[len(p.token)-1] != '\'' {
		p.token = strings.ToLower(p.token)
	}
}

func letter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func digit(c byte) bool  { return c >= '0' && c <= '9' }

// tokenSize is the size of the token at the start of s, -1 if there is none.
func tokenSize(s string) int {
	switch {
	case s == "":
		return 0
	case s[0] == '\'':
		return quotedSize(s)
	case (s[0] == 'x' || s[0] == 'X') && len(s) > 1 && s[1] == '\'':
		if n := quotedSize(s[1:]); n > 0 {
			return n + 1
		}
		return -1
	case letter(s[0]):
		return span(s, func(c byte) bool { return letter(c) || digit(c) })
	case digit(s[0]), (s[0] == '-' || s[0] == '.') && len(s) > 1 && (digit(s[1]) || s[1] == '.'):
		return numberSize(s)
	case slices.Contains([]string{"<>", "!=", "<=", ">="}, s[:min(2, len(s))]):
		return 2
	case strings.IndexByte("()=<>", s[0]) >= 0:
		return 1
	}
	return -1
}

func span(s string, in func(byte) bool) int {
	n := 0
	for n < len(s) && in(s[n]) {
		n++
	}
	return n
}

func numberSize(s string) int {
	n := 1
	for n < len(s) && (digit(s[n]) || s[n] == '.' || s[n]|0x20 == 'e' || (s[n] == '-' || s[n] == '+') && s[n-1]|0x20 == 'e') {
		n++
	}
	return n
}

func quotedSize(s string) int {
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			continue
		}
		if i+1 == len(s) || s[i+1] != '\'' {
			return i + 1
		}
		i++
	}
	return -1
}

func (p *parser) take(token string) bool {
	if p.token != token || p.err != nil {
		return false
	}
	p.next()
	return true
}

func (p *parser) or() *Node {
	n := p.and()
	for p.take("or") {
		n = &Node{Op: Or, Args: []*Node{n, p.and()}}
	}
	return n
}

func (p *parser) and() *Node {
	n := p.not()
	for p.take("and") {
		n = &Node{Op: And, Args: []*Node{n, p.not()}}
	}
	return n
}

func (p *parser) not() *Node {
	if p.depth++; p.depth > maxDepth {
		p.fail("nested too deeply")
	}
	defer func() { p.depth-- }()
	switch {
	case p.take("not"):
		return &Node{Op: Not, Args: []*Node{p.not()}}
	case p.take("("):
		n := p.or()
		if !p.take(")") {
			p.fail("expected )")
		}
		return n
	}
	return p.test()
}

func (p *parser) test() *Node {
	n := p.operand()
	if p.take("is") {
		op := IsNull
		if p.take("not") {
			op = IsNotNull
		}
		if !p.take("null") {
			p.fail("expected null")
		}
		return &Node{Op: op, Args: []*Node{n}}
	}
	if p.take("!=") {
		return &Node{Op: NotEqual, Args: []*Node{n, p.operand()}}
	}
	for op := Equal; op <= GreaterEqual; op++ {
		if p.take(symbols[op]) {
			return &Node{Op: op, Args: []*Node{n, p.operand()}}
		}
	}
	return n
}

func (p *parser) operand() *Node {
	token := p.token
	v, ok := constant(token)
	switch {
	case p.err != nil:
	case ok:
		p.next()
		return &Node{Op: Literal, Value: v}
	case IsName(token):
		p.next()
		return &Node{Op: Column, Name: token}
	}
	p.fail("expected a column or a constant")
	return &Node{Op: Literal}
}

// ParseLiteral reads a single constant, or null.
func ParseLiteral(s string) (value.Value, error) {
	s = strings.TrimSpace(s)
	if strings.EqualFold(s, "null") {
		return value.Value{}, nil
	}
	if v, ok := constant(s); ok && tokenSize(s) == len(s) {
		return v, nil
	}
	return value.Value{}, fmt.Errorf("%q is not a constant: write numbers plainly, text and times in single quotes", s)
}

func constant(token string) (v value.Value, ok bool) {
	switch {
	case token == "":
		return v, false
	case token == "true", token == "false":
		return value.OfBool(token == "true"), true
	case token[0] == '\'' && len(token) > 1:
		return value.OfText(value.String, strings.ReplaceAll(token[1:len(token)-1], "''", "'")), true
	case letter(token[0]) && token[len(token)-1] == '\'' && len(token) > 2:
		b, err := hex.DecodeString(token[2 : len(token)-1])
		return value.OfText(value.Bytes, string(b)), err == nil
	case letter(token[0]):
		return v, false
	}
	d, err := decimal.NewFromString(token)
	if err != nil {
		return v, false
	}
	v, err = value.OfDecimal(d)
	return v, err == nil
}
