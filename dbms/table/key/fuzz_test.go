package key

import (
	"bytes"
	"cmp"
	"math"
	"math/big"
	"testing"
)

// FuzzOrder encodes two values of each form, and sees that they come back, and
// that their encodings are ordered as they are.
func FuzzOrder(f *testing.F) {
	f.Add(uint64(0), uint64(1), "a", "a\x00")
	f.Add(uint64(248), uint64(math.MaxUint64), "", "\xff")
	f.Add(uint64(0x7ff8000000000001), uint64(1<<63), "\x00\x01", "\x00")
	f.Fuzz(func(t *testing.T, a, b uint64, s, u string) {
		check(t, cmp.Compare(a, b), AppendUint(nil, a), AppendUint(nil, b))
		check(t, cmp.Compare(int64(a), int64(b)), AppendInt(nil, int64(a)), AppendInt(nil, int64(b)))
		check(t, cmp.Compare(s, u), AppendText(nil, s), AppendText(nil, u))
		x, y := math.Float64frombits(a), math.Float64frombits(b)
		if x == x && y == y {
			check(t, cmp.Compare(x, y), AppendFloat(nil, x), AppendFloat(nil, y))
		}
		p, q := big.NewInt(int64(a)), big.NewInt(int64(b))
		e, g := len(s)%50-25, len(u)%50-25
		want := scaled(p, e+25).Cmp(scaled(q, g+25))
		check(t, want, mustDecimal(t, p, e), mustDecimal(t, q, g))
	})
}

func scaled(c *big.Int, e int) *big.Int {
	return new(big.Int).Mul(c, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(e)), nil))
}

func mustDecimal(t *testing.T, c *big.Int, e int) []byte {
	b, err := AppendDecimal(nil, c, e)
	if err != nil {
		t.Fatal(err)
	}
	back, exponent, n, err := Decimal(b)
	if err != nil || n != len(b) || scaled(back, exponent+60).Cmp(scaled(c, e+60)) != 0 {
		t.Fatalf("%v e%d became %v e%d, %v (% x)", c, e, back, exponent, err, b)
	}
	return b
}

func check(t *testing.T, want int, a, b []byte) {
	t.Helper()
	if got := bytes.Compare(a, b); got != want {
		t.Fatalf("order is %d, not %d: % x, % x", got, want, a, b)
	}
	Invert(a)
	Invert(b)
	if got := bytes.Compare(b, a); got != want {
		t.Fatalf("descending order is %d, not %d: % x, % x", got, want, a, b)
	}
}

// FuzzDecode decodes garbage: an error, or a value that is encoded as it came,
// and whose end Skip finds.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{0xff, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte{3, 0x81, 13, 0})
	f.Add([]byte{1, 0x7e, 242, 255})
	f.Add([]byte{'a', 0, 0xff, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		for form := FormBool; form <= FormUUID; form++ {
			again, n, err := recode(b, form)
			if err != nil {
				continue
			}
			if !bytes.Equal(again, b[:n]) {
				t.Errorf("form %d: % x was decoded, and encoded as % x", form, b[:n], again)
			}
			if m, err := Skip(b, Column{Form: form}); err != nil || m != n {
				t.Errorf("form %d: Skip of % x is %d, %v, want %d", form, b, m, err, n)
			}
			if _, err := Skip(b, Column{Form: form, Nullable: true, Descending: true}); err != nil && err != ErrMalformed {
				t.Error(err)
			}
		}
	})
}

func recode(b []byte, f Form) (again []byte, n int, err error) {
	switch f {
	case FormBool:
		v, n, err := Bool(b)
		return AppendBool(nil, v), n, err
	case FormUint:
		v, n, err := Uint(b)
		return AppendUint(nil, v), n, err
	case FormInt:
		v, n, err := Int(b)
		return AppendInt(nil, v), n, err
	case FormFloat:
		v, n, err := Float(b)
		return AppendFloat(nil, v), n, err
	case FormText:
		v, n, err := Text(nil, b)
		return AppendText(nil, v), n, err
	case FormUUID:
		v, n, err := UUID(b)
		return AppendUUID(nil, v), n, err
	}
	c, e, n, err := Decimal(b)
	if err == nil {
		again, err = AppendDecimal(nil, c, e)
	}
	return again, n, err
}
