package table

import (
	"fmt"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table/key"
	"github.com/tuplix/tuplix/dbms/table/value"
)

// Span is a range of rows in the order of an index, and how it is walked. The
// zero Span is all of them, in order. Bounds are values of the first columns of
// the index, one or more of them:
//
//	table.Prefix(dir)                   rows whose first column is dir
//	table.From(dir, "a").To(dir, "n")   from the first that is not before, up to and without the second
//	table.After(dir, "a")               what comes after all rows that begin with these
//	table.Through(dir)                  all up to the last that begins with these
//	table.Prefix(dir).Reverse().Limit(10)
//
// Where a column is descending, larger values come first: From is then the
// larger bound.
type Span struct {
	low, high    []any
	after, until bool // low and high themselves are out, in
	reverse      bool
	limit        int
}

// Prefix is the rows that begin with these values.
func Prefix(key ...any) Span { return Span{low: key, high: key, until: true} }

// From is the rows from key on.
func From(key ...any) Span { return Span{low: key} }

// After is the rows after all that begin with key.
func After(key ...any) Span { return Span{low: key, after: true} }

// To is the rows before key.
func To(key ...any) Span { return Span{high: key} }

// Through is the rows up to the last that begins with key.
func Through(key ...any) Span { return Span{high: key, until: true} }

// To ends the span before key.
func (s Span) To(key ...any) Span { s.high, s.until = key, false; return s }

// Through ends the span with the last row that begins with key.
func (s Span) Through(key ...any) Span { s.high, s.until = key, true; return s }

// Reverse walks from the end to the beginning.
func (s Span) Reverse() Span { s.reverse = !s.reverse; return s }

// Limit stops after n rows, if n is not 0.
func (s Span) Limit(n int) Span { s.limit = n; return s }

func (s Span) options() engine.ScanOptions {
	return engine.ScanOptions{Reverse: s.reverse, Limit: s.limit}
}

// bounds are the keys of the span in an index.
func (b *binding) bounds(x *index, s Span) (engine.Range, error) {
	r := engine.PrefixRange(x.prefix)
	if s.low != nil {
		low, err := b.appendArgs(append([]byte(nil), x.prefix...), x.parts, s.low)
		if err != nil {
			return r, err
		}
		if r.Low = low; s.after {
			r.Low = engine.PrefixEnd(low)
		}
	}
	if s.high != nil {
		high, err := b.appendArgs(append([]byte(nil), x.prefix...), x.parts, s.high)
		if err != nil {
			return r, err
		}
		if r.High = high; s.until {
			r.High = engine.PrefixEnd(high)
		}
	}
	return r, nil
}

// appendArgs appends the values that a caller gave for the first columns.
func (b *binding) appendArgs(dst []byte, parts []part, args []any) ([]byte, error) {
	if len(args) > len(parts) {
		return dst, fmt.Errorf("table %s: %d values for a key of %d columns", b.name, len(args), len(parts))
	}
	for i := range args {
		p := &parts[i]
		switch a := args[i].(type) { // the usual cases first
		case uint64:
			if b.cols[p.col].Type == value.Uint64 && p.Column == (key.Column{Form: key.FormUint}) {
				dst = key.AppendUint(dst, a)
				continue
			}
		case string:
			if b.cols[p.col].Type == value.String && p.Column == (key.Column{Form: key.FormText}) {
				dst = key.AppendText(dst, a)
				continue
			}
		}
		v, err := value.Of(args[i])
		if err == nil {
			v, err = value.Convert(v, b.cols[p.col].Type)
		}
		if err == nil {
			dst, err = appendValue(dst, p, v)
		}
		if err != nil {
			return dst, b.columnError(p.col, err)
		}
	}
	return dst, nil
}

// appendValue appends a Value of the column's type as part of a key.
func appendValue(dst []byte, p *part, v Value) (_ []byte, err error) {
	start := len(dst)
	switch {
	case v.IsNull() && !p.Nullable:
		return dst, fmt.Errorf("it cannot be null")
	case v.IsNull():
		dst = append(dst, key.Null)
	default:
		if p.Nullable {
			dst = append(dst, key.NotNull)
		}
		s := slot{form: formValue, typ: v.Type()}
		dst, err = s.appendKey(dst, dynamicRow([]Value{v}))
	}
	if p.Descending {
		key.Invert(dst[start:])
	}
	return dst, err
}

// keyValues decodes a primary key, without its prefix.
func (b *binding) keyValues(k []byte) ([]Value, error) {
	row := make([]Value, len(b.cols))
	if err := b.dynamic.decodeKey(dynamicRow(row), k, make([]byte, 0, len(k))); err != nil {
		return nil, err
	}
	var out []Value
	for _, p := range b.parts {
		out = append(out, row[p.col])
	}
	return out, nil
}

// keyName is a primary key for people.
func (b *binding) keyName(k []byte) string {
	values, err := b.keyValues(k)
	if err != nil {
		return fmt.Sprintf("%x", k)
	}
	return keyText(values)
}
