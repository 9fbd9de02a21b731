package value

import (
	"math"

	"github.com/tuplix/tuplix/dbms/table/key"
)

// Type is the type of a column. The numbers are kept in catalogs and never
// change.
type Type uint8

// The types. Null is that of the value null, and of no column.
const (
	Null     Type = 0
	Bool     Type = 1
	Int8     Type = 2
	Int16    Type = 3
	Int32    Type = 4
	Int64    Type = 5
	Uint8    Type = 6
	Uint16   Type = 7
	Uint32   Type = 8
	Uint64   Type = 9
	Float64  Type = 10
	Decimal  Type = 11 // exact, up to key.MaxDigits digits; 1.0 is 1
	String   Type = 12
	Bytes    Type = 13
	Time     Type = 14 // microseconds since 1970, UTC
	Duration Type = 15 // nanoseconds
	JSON     Type = 16 // text; not checked unless by its writer
	UUID     Type = 17
	last     Type = UUID
)

var names = [...]string{"null", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
	"float64", "decimal", "string", "bytes", "time", "duration", "json", "uuid"}

// String returns the name of a type, as the catalog shows it.
func (t Type) String() string {
	if t > last {
		return "invalid type"
	}
	return names[t]
}

// TypeOf returns the type of a name, and whether there is one for columns.
func TypeOf(name string) (Type, bool) {
	for t, n := range names {
		if n == name && t != 0 {
			return Type(t), true
		}
	}
	return Null, false
}

// Signed reports whether t is a signed integer.
func (t Type) Signed() bool { return t >= Int8 && t <= Int64 }

// Unsigned reports whether t is an unsigned integer.
func (t Type) Unsigned() bool { return t >= Uint8 && t <= Uint64 }

// Text reports whether values of t are a sequence of bytes.
func (t Type) Text() bool { return t == String || t == Bytes || t == JSON }

// Form is how keys hold a value of t. JSON has none.
func (t Type) Form() (f key.Form, ok bool) {
	switch {
	case t == Bool:
		return key.FormBool, true
	case t.Unsigned():
		return key.FormUint, true
	case t.Signed(), t == Time, t == Duration:
		return key.FormInt, true
	case t == Float64:
		return key.FormFloat, true
	case t == Decimal:
		return key.FormDecimal, true
	case t == UUID:
		return key.FormUUID, true
	case t == String, t == Bytes:
		return key.FormText, true
	}
	return 0, false
}

// MinMax are the bounds of a signed integer type.
func (t Type) MinMax() (low, high int64) {
	bits := 8 << (t - Int8)
	return math.MinInt64 >> (64 - bits), math.MaxInt64 >> (64 - bits)
}

// Max is the largest value of an unsigned integer type.
func (t Type) Max() uint64 { return math.MaxUint64 >> (64 - (8 << (t - Uint8))) }
