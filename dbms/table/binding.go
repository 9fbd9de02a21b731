package table

import (
	"fmt"
	"math"
	"sync"
	"unsafe"

	"github.com/tuplix/tuplix/dbms/table/expr"
	"github.com/tuplix/tuplix/dbms/table/key"
	"github.com/tuplix/tuplix/dbms/table/value"
)

// binding is a schema together with where its columns lie in memory. All work
// on rows is done by bindings, for Go structs and for rows of Values alike.
type binding struct {
	*schema
	slots   []slot // by position
	fresh   *plan  // of rows as they are written
	keyText bool   // there is text in the primary key
	keyOnly *slot  // the primary key, if it is one uint64 in a Go struct; or nil

	mu    sync.Mutex
	plans map[uint64]*plan // of older rows
}

func (s *schema) bind(slots []slot) *binding {
	b := &binding{schema: s, slots: slots, plans: make(map[uint64]*plan)}
	b.fresh = b.makePlan(s.version)
	for _, p := range s.parts {
		b.keyText = b.keyText || p.Form == key.FormText || p.Form == key.FormDecimal
	}
	if len(s.parts) == 1 && !s.parts[0].Descending && slots[s.parts[0].col].form == formUint64 {
		b.keyOnly = &slots[s.parts[0].col]
	}
	return b
}

// bindDynamic lays rows out as one Value after another.
func (s *schema) bindDynamic() *binding {
	slots := make([]slot, len(s.cols))
	for i, c := range s.cols {
		slots[i] = slot{form: formValue, typ: c.Type, nullable: c.Nullable, offset: uintptr(i) * unsafe.Sizeof(Value{})}
	}
	return s.bind(slots)
}

// dynamicRow is the memory of a row of Values.
func dynamicRow(values []Value) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(values)) }

// appendParts appends the columns of a key or an index.
func (b *binding) appendParts(dst []byte, row unsafe.Pointer, parts []part) ([]byte, error) {
	var err error
	for i := range parts {
		if dst, err = b.appendPart(dst, row, &parts[i]); err != nil {
			return dst, b.columnError(parts[i].col, err)
		}
	}
	return dst, nil
}

func (b *binding) appendPart(dst []byte, row unsafe.Pointer, p *part) (_ []byte, err error) {
	s, start := &b.slots[p.col], len(dst)
	switch {
	case !p.Nullable:
		dst, err = s.appendKey(dst, row)
	case s.null(row):
		dst = append(dst, key.Null)
	default:
		dst, err = s.appendKey(append(dst, key.NotNull), row)
	}
	if p.Descending {
		key.Invert(dst[start:])
	}
	return dst, err
}

func (s *slot) appendKey(dst []byte, row unsafe.Pointer) ([]byte, error) {
	switch t := s.typ; {
	case t.Unsigned():
		return key.AppendUint(dst, s.number(row)), nil
	case t.Signed(), t == value.Duration:
		return key.AppendInt(dst, int64(s.number(row))), nil
	case t == value.Time:
		return key.AppendInt(dst, int64(s.number(row))), s.check(row)
	case t == value.Bool:
		return key.AppendBool(dst, s.number(row) != 0), nil
	case t == value.Float64:
		return key.AppendFloat(dst, math.Float64frombits(s.number(row))), nil
	case t == value.UUID:
		return key.AppendUUID(dst, s.uuid(row)), nil
	case t == value.Decimal:
		var scratch [64]byte
		b, err := s.text(row, scratch[:])
		return append(dst, b...), err
	}
	b, err := s.text(row, nil)
	return key.AppendText(dst, b), err
}

// decodeKey reads the columns of the primary key from a key without its prefix.
// text is where text goes; it must have room for it.
func (b *binding) decodeKey(row unsafe.Pointer, k, text []byte) error {
	if b.keyOnly != nil { // the usual case first
		if u, n, err := key.Uint(k); err == nil && n == len(k) {
			*(*uint64)(unsafe.Add(row, b.keyOnly.offset)) = u
			return nil
		}
	}
	for i := range b.parts {
		p := &b.parts[i]
		n, err := 0, error(nil)
		if !p.Descending {
			n, text, err = b.slots[p.col].decodeKey(row, k, text)
		} else if n, err = key.Skip(k, p.Column); err == nil {
			inverted := append([]byte(nil), k[:n]...)
			key.Invert(inverted)
			_, text, err = b.slots[p.col].decodeKey(row, inverted, text)
		}
		if err != nil {
			return b.columnError(p.col, err)
		}
		k = k[n:]
	}
	if len(k) != 0 {
		return fmt.Errorf("bytes after the key")
	}
	return nil
}

func (s *slot) decodeKey(row unsafe.Pointer, k, text []byte) (n int, rest []byte, err error) {
	var u uint64
	var i int64
	switch t := s.typ; {
	case t.Unsigned():
		u, n, err = key.Uint(k)
	case t.Signed(), t == value.Duration, t == value.Time:
		i, n, err = key.Int(k)
		u = uint64(i)
	case t == value.Bool:
		var v bool
		if v, n, err = key.Bool(k); v {
			u = 1
		}
	case t == value.Float64:
		var f float64
		f, n, err = key.Float(k)
		u = math.Float64bits(f)
	case t == value.UUID:
		var v [16]byte
		v, n, err = key.UUID(k)
		s.setUUID(row, v)
		return n, text, err
	case t == value.Decimal:
		return s.decodeDecimal(row, k, text)
	default:
		start := len(text)
		if text, n, err = key.Text(text, k); err == nil {
			err = s.setText(row, text[start:len(text):len(text)])
		}
		return n, text, err
	}
	if err == nil && !s.setNumber(row, u) {
		err = key.ErrRange
	}
	return n, text, err
}

func (s *slot) decodeDecimal(row unsafe.Pointer, k, text []byte) (int, []byte, error) {
	n, err := key.Skip(k, key.Column{Form: key.FormDecimal})
	if err != nil {
		return 0, text, err
	}
	start := len(text)
	text = append(text, k[:n]...)
	return n, text, s.setText(row, text[start:len(text):len(text)])
}

// columnError names the table and column.
func (b *binding) columnError(i int, err error) error {
	return fmt.Errorf("table %s, column %s: %w", b.name, b.cols[i].Name, err)
}

// holds tells whether a condition is true for a row.
func (b *binding) eval(cond *expr.Cond, row unsafe.Pointer) expr.Truth {
	return cond.Eval(func(i int) Value { return b.slots[i].value(row) })
}

// values reads columns as Values that do not share memory with the row.
func (b *binding) values(row unsafe.Pointer, parts []part) []Value {
	out := make([]Value, len(parts))
	for i, p := range parts {
		out[i] = value.Clone(b.slots[p.col].value(row))
	}
	return out
}
