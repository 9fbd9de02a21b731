package value

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

const timeLayout = "2006-01-02T15:04:05.999999Z07:00"

// String returns v for people: text without quotes, bytes as hexadecimal.
func (v Value) String() string {
	switch {
	case v.typ == Null:
		return "null"
	case v.typ == Bool:
		return strconv.FormatBool(v.Bool())
	case v.typ.Signed():
		return strconv.FormatInt(v.Int(), 10)
	case v.typ.Unsigned():
		return strconv.FormatUint(v.n, 10)
	case v.typ == Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case v.typ == Decimal:
		return v.Decimal().String()
	case v.typ == Bytes:
		return hex.EncodeToString([]byte(v.s))
	case v.typ == Time:
		return v.Time().Format(timeLayout)
	case v.typ == Duration:
		return time.Duration(v.n).String()
	case v.typ == UUID:
		return formatUUID(v.s)
	}
	return v.s
}

func formatUUID(s string) string {
	h := hex.EncodeToString([]byte(s))
	if len(h) != 32 {
		return h
	}
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Literal returns v as it is written in an expression: numbers, true, false and
// null plainly, bytes as x'0a', everything else in single quotes.
func (v Value) Literal() string {
	switch {
	case v.typ == Float64 && (v.Float() != v.Float() || math.IsInf(v.Float(), 0)):
		return Quote(v.String())
	case v.typ == Bytes:
		return "x'" + v.String() + "'"
	case v.typ <= Decimal:
		return v.String()
	}
	return Quote(v.String())
}

// Quote puts s in single quotes, and doubles those in it.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// Convert makes of v a value of type t that is equal to it: integers of other
// sizes, integers and floats as decimals and the reverse, text as whatever it
// says. It fails if there is none. Null stays null.
func Convert(v Value, t Type) (Value, error) {
	switch {
	case v.typ == t || v.typ == Null:
		return v, nil
	case v.typ == String:
		return Parse(v.s, t)
	case v.typ.Signed() && (t.Signed() || t == Duration):
		return checked(OfInt(t, v.Int()), v)
	case v.typ.Signed() && t.Unsigned() && v.Int() >= 0, v.typ.Unsigned() && t.Unsigned():
		return checked(OfUint(t, v.n), v)
	case v.typ.Unsigned() && t.Signed() && v.n <= math.MaxInt64:
		return checked(OfInt(t, int64(v.n)), v)
	case v.typ == Bytes && t.Text():
		return OfText(t, v.s), nil
	case v.typ == Bytes && t == UUID && len(v.s) == 16:
		return OfText(t, v.s), nil
	case v.typ == JSON && t.Text():
		return OfText(t, v.s), nil
	case t == Decimal && (v.typ.Signed() || v.typ.Unsigned() || v.typ == Float64):
		return Parse(v.String(), Decimal)
	case t == Float64 && (v.typ.Signed() || v.typ.Unsigned()):
		return exactFloat(v)
	case t == Float64 && v.typ == Decimal:
		return Parse(v.String(), Float64)
	case v.typ == Decimal && (t.Signed() || t.Unsigned()):
		return Parse(v.String(), t)
	}
	return Value{}, mismatch(v, t)
}

func mismatch(v Value, t Type) error {
	return fmt.Errorf("%s %s is not a value of type %s", v.typ, v.Literal(), t)
}

// checked sees that an integer is in the range of its type.
func checked(v, from Value) (Value, error) {
	fits := true
	switch {
	case v.typ.Signed():
		low, high := v.typ.MinMax()
		fits = v.Int() >= low && v.Int() <= high
	case v.typ.Unsigned():
		fits = v.n <= v.typ.Max()
	}
	if !fits {
		return Value{}, mismatch(from, v.typ)
	}
	return v, nil
}

// exactFloat takes the integers that every float64 nearby can be told from.
func exactFloat(v Value) (Value, error) {
	f, exact := float64(v.n), v.n <= 1<<53
	if v.typ.Signed() {
		f, exact = float64(v.Int()), v.Int() <= 1<<53 && v.Int() >= -1<<53
	}
	if !exact {
		return Value{}, mismatch(v, Float64)
	}
	return OfFloat(f), nil
}

// Parse reads a value of type t from its text, as String writes it.
func Parse(s string, t Type) (Value, error) {
	v, err := parse(s, t)
	if err != nil {
		return Value{}, fmt.Errorf("%s is not a value of type %s", Quote(s), t)
	}
	return v, nil
}

func parse(s string, t Type) (Value, error) {
	switch {
	case t == Bool:
		b, err := strconv.ParseBool(s)
		return OfBool(b), err
	case t.Signed():
		n, err := strconv.ParseInt(s, 10, 8<<(t-Int8))
		return OfInt(t, n), err
	case t.Unsigned():
		n, err := strconv.ParseUint(s, 10, 8<<(t-Uint8))
		return OfUint(t, n), err
	case t == Float64:
		f, err := strconv.ParseFloat(s, 64)
		return OfFloat(f), err
	case t == Time:
		return parseTime(s)
	case t == Duration:
		d, err := time.ParseDuration(s)
		return OfInt(t, int64(d)), err
	}
	return parseText(s, t)
}

func parseText(s string, t Type) (Value, error) {
	switch t {
	case Decimal:
		d, err := decimal.NewFromString(s)
		if err != nil {
			return Value{}, err
		}
		return OfDecimal(d)
	case String:
		return OfText(t, s), nil
	case JSON:
		if !json.Valid([]byte(s)) {
			return Value{}, fmt.Errorf("not JSON")
		}
		return OfText(t, s), nil
	case Bytes, UUID:
		if t == UUID {
			s = strings.ReplaceAll(s, "-", "")
		}
		b, err := hex.DecodeString(s)
		if err != nil || t == UUID && len(b) != 16 {
			return Value{}, fmt.Errorf("not hexadecimal, or of the wrong length")
		}
		return OfText(t, string(b)), nil
	}
	return Value{}, fmt.Errorf("no text for it")
}

// parseTime also takes a date, and a time in UTC without a zone.
func parseTime(s string) (Value, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return OfTime(t), nil
		}
	}
	return Value{}, fmt.Errorf("not a time")
}
