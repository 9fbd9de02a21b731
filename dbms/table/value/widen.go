package value

// Widens reports whether every value of type t is one of type to as well, in the
// sense of Widen: an integer is one of a larger type and a decimal, those of up to
// 32 bits are float64s, and text is its bytes.
func (t Type) Widens(to Type) bool {
	switch {
	case t == to:
		return true
	case t.Signed() && to.Signed(), t.Unsigned() && to.Unsigned():
		return t < to
	case t.Unsigned() && to.Signed():
		return t-Uint8 < to-Int8
	case to == Decimal:
		return t.Signed() || t.Unsigned()
	case to == Float64:
		return t.Signed() && t < Int64 || t.Unsigned() && t < Uint64
	case to == Bytes:
		return t == String || t == JSON
	}
	return t == JSON && to == String
}

// SameForm reports whether values of two types, of which the one widens to the
// other, are kept as the same bytes, in rows and in keys.
func (t Type) SameForm(to Type) bool {
	return t == to || t.Signed() && to.Signed() || t.Unsigned() && to.Unsigned() || t.Text() && to.Text()
}

// Widen makes of a value the same of a type that its own widens to. Other than
// with Convert, text is not read but taken as it is. Null stays null.
func Widen(v Value, to Type) (Value, error) {
	if v.typ.Text() && to.Text() {
		return OfText(to, v.s), nil
	}
	return Convert(v, to)
}
