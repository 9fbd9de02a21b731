package table

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"time"
	"unsafe"

	"github.com/shopspring/decimal"

	"github.com/tuplix/tuplix/dbms/table/key"
	"github.com/tuplix/tuplix/dbms/table/value"
)

// number reads a column of an integer, bool, float64, time or duration as bits.
func (s *slot) number(row unsafe.Pointer) uint64 {
	p := unsafe.Add(row, s.offset)
	switch s.form {
	case formBool, formUint8:
		return uint64(*(*uint8)(p))
	case formInt8:
		return uint64(*(*int8)(p))
	case formInt16:
		return uint64(*(*int16)(p))
	case formInt32:
		return uint64(*(*int32)(p))
	case formUint16:
		return uint64(*(*uint16)(p))
	case formUint32:
		return uint64(*(*uint32)(p))
	case formTime:
		return uint64((*time.Time)(p).UnixMicro())
	case formValue:
		return (*Value)(p).Uint()
	}
	return *(*uint64)(p) // also of float64, whose bits these are
}

// setNumber is the reverse of number. It reports whether n fits.
func (s *slot) setNumber(row unsafe.Pointer, n uint64) bool {
	p := unsafe.Add(row, s.offset)
	switch s.form {
	case formBool:
		*(*bool)(p) = n == 1
		return n <= 1
	case formUint8:
		*(*uint8)(p) = uint8(n)
		return n <= math.MaxUint8
	case formUint16:
		*(*uint16)(p) = uint16(n)
		return n <= math.MaxUint16
	case formUint32:
		*(*uint32)(p) = uint32(n)
		return n <= math.MaxUint32
	case formInt8:
		*(*int8)(p) = int8(n)
		return int64(n) == int64(int8(n))
	case formInt16:
		*(*int16)(p) = int16(n)
		return int64(n) == int64(int16(n))
	case formInt32:
		*(*int32)(p) = int32(n)
		return int64(n) == int64(int32(n))
	case formTime:
		*(*time.Time)(p) = time.UnixMicro(int64(n)).UTC()
	case formValue:
		return setValue((*Value)(p), s.typ, n)
	case formSkip:
	default:
		*(*uint64)(p) = n
	}
	return true
}

func setValue(v *Value, t Type, n uint64) bool {
	switch {
	case t == value.Bool:
		*v = value.OfBool(n == 1)
		return n <= 1
	case t == value.Float64:
		*v = value.OfFloat(math.Float64frombits(n))
	case t.Unsigned():
		*v = value.OfUint(t, n)
		return n <= t.Max()
	default:
		*v = value.OfInt(t, int64(n))
		if t.Signed() {
			low, high := t.MinMax()
			return int64(n) >= low && int64(n) <= high
		}
	}
	return true
}

const jsonNull = "null"

// text reads a column of a string, bytes, JSON or decimal as the bytes that rows
// hold of it; scratch may be used for them.
func (s *slot) text(row unsafe.Pointer, scratch []byte) ([]byte, error) {
	p := unsafe.Add(row, s.offset)
	switch s.form {
	case formString:
		return unsafe.Slice(unsafe.StringData(*(*string)(p)), len(*(*string)(p))), nil
	case formBytes:
		b := *(*[]byte)(p)
		if s.typ == value.JSON && len(b) == 0 {
			return []byte(jsonNull), nil
		}
		return b, nil
	case formDecimal:
		d := *(*decimal.Decimal)(p)
		return key.AppendDecimal(scratch[:0], d.Coefficient(), int(d.Exponent()))
	case formJSON:
		if s.nilMap && *(*unsafe.Pointer)(p) == nil { // a map is a pointer
			return append(scratch[:0], jsonNull...), nil
		}
		return json.Marshal(reflect.NewAt(s.goType, p).Interface())
	}
	v := (*Value)(p).Text()
	return unsafe.Slice(unsafe.StringData(v), len(v)), nil
}

// setText is the reverse of text. The column may keep b.
func (s *slot) setText(row unsafe.Pointer, b []byte) error {
	p := unsafe.Add(row, s.offset)
	switch s.form {
	case formString:
		*(*string)(p) = unsafe.String(unsafe.SliceData(b), len(b))
	case formBytes:
		*(*[]byte)(p) = b
	case formDecimal:
		c, e, n, err := key.Decimal(b)
		if err != nil || n != len(b) {
			return key.ErrMalformed
		}
		*(*decimal.Decimal)(p) = decimal.NewFromBigInt(c, int32(e))
	case formJSON:
		s.clear(p)
		if s.nilMap && string(b) == jsonNull {
			return nil
		}
		return json.Unmarshal(b, reflect.NewAt(s.goType, p).Interface())
	case formValue:
		if s.typ == value.Decimal {
			if _, _, n, err := key.Decimal(b); err != nil || n != len(b) {
				return key.ErrMalformed
			}
		}
		*(*Value)(p) = value.OfText(s.typ, unsafe.String(unsafe.SliceData(b), len(b)))
	}
	return nil
}

func (s *slot) uuid(row unsafe.Pointer) [16]byte {
	p := unsafe.Add(row, s.offset)
	if s.form == formValue {
		return (*Value)(p).UUID()
	}
	return *(*[16]byte)(p)
}

func (s *slot) setUUID(row unsafe.Pointer, u [16]byte) {
	p := unsafe.Add(row, s.offset)
	switch s.form {
	case formValue:
		*(*Value)(p) = value.OfUUID(u)
	case formUUID:
		*(*[16]byte)(p) = u
	}
}

// value reads a column as a Value. Its text is that of the row, not a copy.
func (s *slot) value(row unsafe.Pointer) (v Value) {
	switch {
	case s.null(row):
		return Value{}
	case s.form == formValue:
		return *(*Value)(unsafe.Add(row, s.offset))
	case s.typ == value.UUID:
		return value.OfUUID(s.uuid(row))
	case s.typ.Text() || s.typ == value.Decimal:
		b, err := s.text(row, nil)
		if err != nil {
			return Value{}
		}
		return value.OfText(s.typ, unsafe.String(unsafe.SliceData(b), len(b)))
	}
	setValue(&v, s.typ, s.number(row))
	return v
}

// set writes a column from a Value of its type, or null if it is nullable.
func (s *slot) set(row unsafe.Pointer, v Value) error {
	s.setNull(row, v.IsNull())
	switch {
	case v.IsNull():
		return nil
	case s.typ == value.UUID:
		s.setUUID(row, v.UUID())
	case s.typ.Text() || s.typ == value.Decimal:
		return s.setText(row, []byte(v.Text()))
	default:
		s.setNumber(row, v.Uint())
	}
	return nil
}

// check sees that what is in memory is within the bounds of the type.
func (s *slot) check(row unsafe.Pointer) error {
	p := unsafe.Add(row, s.offset)
	switch s.form {
	case formTime:
		if sec := (*time.Time)(p).Unix(); sec > math.MaxInt64/1_000_000-1 || sec < math.MinInt64/1_000_000+1 {
			return fmt.Errorf("the time %v is out of range", *(*time.Time)(p))
		}
	case formBytes:
		if b := *(*[]byte)(p); s.typ == value.JSON && len(b) > 0 && !json.Valid(b) {
			return fmt.Errorf("it is not JSON")
		}
	}
	return nil
}
