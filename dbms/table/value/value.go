package value

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/tuplix/tuplix/dbms/table/key"
)

// Value is a value of some type. The zero Value is null.
type Value struct {
	typ Type
	n   uint64 // of bool, integers, float64 (its bits), time and duration
	s   string // of the others; decimals and UUIDs as in package key
}

// Type returns the type, Null for null.
func (v Value) Type() Type { return v.typ }

// IsNull reports whether v is null.
func (v Value) IsNull() bool { return v.typ == Null }

// OfBool, OfInt and their like make values. The integer must fit in its type.
func OfBool(b bool) Value {
	if b {
		return Value{typ: Bool, n: 1}
	}
	return Value{typ: Bool}
}

// OfInt makes a value of a signed integer type, Time (microseconds) or Duration
// (nanoseconds).
func OfInt(t Type, n int64) Value { return Value{typ: t, n: uint64(n)} }

// OfUint makes a value of an unsigned integer type.
func OfUint(t Type, n uint64) Value { return Value{typ: t, n: n} }

// OfFloat makes a Float64.
func OfFloat(f float64) Value { return Value{typ: Float64, n: math.Float64bits(f)} }

// OfText makes a String, Bytes or JSON.
func OfText(t Type, s string) Value { return Value{typ: t, s: s} }

// OfUUID makes a UUID.
func OfUUID(u [16]byte) Value { return Value{typ: UUID, s: string(u[:])} }

// OfTime makes a Time, cut to microseconds.
func OfTime(t time.Time) Value { return OfInt(Time, t.UnixMicro()) }

// OfDecimal makes a Decimal. It fails with key.ErrRange.
func OfDecimal(d decimal.Decimal) (Value, error) {
	b, err := key.AppendDecimal(nil, d.Coefficient(), int(d.Exponent()))
	if err != nil {
		return Value{}, fmt.Errorf("decimal with exponent %d: %w", d.Exponent(), err)
	}
	return Value{typ: Decimal, s: string(b)}, nil
}

// OfEncoded makes a Decimal of its encoding in package key, which must be valid.
func OfEncoded(s string) Value { return Value{typ: Decimal, s: s} }

// Bool returns the value of a Bool.
func (v Value) Bool() bool { return v.n != 0 }

// Int returns the value of a signed integer, a Time or a Duration.
func (v Value) Int() int64 { return int64(v.n) }

// Uint returns the value of an unsigned integer.
func (v Value) Uint() uint64 { return v.n }

// Float returns the value of a Float64.
func (v Value) Float() float64 { return math.Float64frombits(v.n) }

// Text returns the value of a String, Bytes or JSON.
func (v Value) Text() string { return v.s }

// Time returns the value of a Time, in UTC.
func (v Value) Time() time.Time { return time.UnixMicro(int64(v.n)).UTC() }

// UUID returns the value of a UUID.
func (v Value) UUID() (u [16]byte) {
	copy(u[:], v.s)
	return u
}

// Encoded returns the bytes that stand for a Decimal in package key.
func (v Value) Encoded() string { return v.s }

// Decimal returns the value of a Decimal.
func (v Value) Decimal() decimal.Decimal {
	c, e, _, err := key.Decimal([]byte(v.s))
	if err != nil {
		return decimal.Decimal{}
	}
	return decimal.NewFromBigInt(c, int32(e))
}

// Any returns v as a Go value: nil, bool, a sized integer, float64,
// decimal.Decimal, string, []byte, time.Time, time.Duration, json.RawMessage or
// [16]byte.
func (v Value) Any() any {
	switch v.typ {
	case Null:
		return nil
	case Bool:
		return v.Bool()
	case Float64:
		return v.Float()
	case Decimal:
		return v.Decimal()
	case String:
		return v.s
	case Bytes:
		return []byte(v.s)
	case JSON:
		return json.RawMessage(v.s)
	case UUID:
		return v.UUID()
	case Time:
		return v.Time()
	case Duration:
		return time.Duration(v.n)
	}
	return v.integer()
}

func (v Value) integer() any {
	switch v.typ {
	case Int8:
		return int8(v.n)
	case Int16:
		return int16(v.n)
	case Int32:
		return int32(v.n)
	case Int64:
		return int64(v.n)
	case Uint8:
		return uint8(v.n)
	case Uint16:
		return uint16(v.n)
	case Uint32:
		return uint32(v.n)
	}
	return v.n
}

// Of returns the Value of a Go value: nil, a Value, or one of a type that Any
// returns, or whose kind is that of one. Integers become Int64 and Uint64.
func Of(x any) (Value, error) {
	switch x := x.(type) {
	case nil:
		return Value{}, nil
	case Value:
		return x, nil
	case string:
		return OfText(String, x), nil
	case int:
		return OfInt(Int64, int64(x)), nil
	case time.Time:
		return OfTime(x), nil
	case time.Duration:
		return OfInt(Duration, int64(x)), nil
	case decimal.Decimal:
		return OfDecimal(x)
	case json.RawMessage:
		return OfText(JSON, string(x)), nil
	case *big.Int:
		return OfDecimal(decimal.NewFromBigInt(x, 0))
	}
	return ofKind(reflect.ValueOf(x))
}

func ofKind(r reflect.Value) (Value, error) {
	switch r.Kind() {
	case reflect.Bool:
		return OfBool(r.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return OfInt(Int64, r.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return OfUint(Uint64, r.Uint()), nil
	case reflect.Float64:
		return OfFloat(r.Float()), nil
	case reflect.String:
		return OfText(String, r.String()), nil
	case reflect.Slice:
		if r.Type().Elem().Kind() == reflect.Uint8 {
			return OfText(Bytes, string(r.Bytes())), nil
		}
	case reflect.Array:
		if r.Type().ConvertibleTo(reflect.TypeFor[[16]byte]()) {
			return OfUUID(r.Convert(reflect.TypeFor[[16]byte]()).Interface().([16]byte)), nil
		}
	}
	return Value{}, fmt.Errorf("a %s is not a value of any column", r.Type())
}

// Compare orders values of the same type as their columns are ordered, null
// first. Values of different types are ordered by type.
func Compare(a, b Value) int {
	switch {
	case a.typ != b.typ:
		return cmp.Compare(a.typ, b.typ)
	case a.typ.Signed(), a.typ == Time, a.typ == Duration:
		return cmp.Compare(int64(a.n), int64(b.n))
	case a.typ == Float64:
		return bytes.Compare(key.AppendFloat(nil, a.Float()), key.AppendFloat(nil, b.Float()))
	case a.typ == Bool, a.typ.Unsigned():
		return cmp.Compare(a.n, b.n)
	}
	return strings.Compare(a.s, b.s)
}

// Zero returns the zero value of a type: 0, false, the empty text, the moment
// 1970-01-01, and null for JSON, whose text is null.
func Zero(t Type) Value {
	switch t {
	case Decimal:
		return Value{typ: t, s: zeroDecimal}
	case JSON:
		return Value{typ: t, s: "null"}
	case UUID:
		return Value{typ: t, s: string(make([]byte, 16))}
	}
	return Value{typ: t}
}

var zeroDecimal = string([]byte{0x02})

// Clone returns v with a copy of its text.
func Clone(v Value) Value {
	v.s = strings.Clone(v.s)
	return v
}
