package key

import (
	"bytes"
	"math"
	"math/big"
	"slices"
	"testing"
)

// ordered encodes values that are given in order and sees that the encodings
// are in order, free of prefixes, and of the size that Skip finds.
func ordered[T any](t *testing.T, form Form, values []T, encode func([]byte, T) []byte) {
	t.Helper()
	for _, descending := range []bool{false, true} {
		var last []byte
		for i, v := range values {
			b := encode(nil, v)
			if descending {
				Invert(b)
			}
			c := Column{Form: form, Descending: descending}
			if n, err := Skip(append(b, 0x5a), c); err != nil || n != len(b) {
				t.Errorf("%v: Skip is %d, %v; want %d (% x)", v, n, err, len(b), b)
			}
			if i > 0 {
				if got := bytes.Compare(last, b); got == 0 || got < 0 == descending {
					t.Errorf("%v and %v, descending %v: % x, % x", values[i-1], v, descending, last, b)
				}
				if bytes.HasPrefix(b, last) || bytes.HasPrefix(last, b) {
					t.Errorf("% x and % x: one is a prefix of the other", last, b)
				}
			}
			last = b
		}
	}
}

func TestOrderUint(t *testing.T) {
	values := []uint64{0, 1, 246, 247, 248, 255, 256, 65535, 65536}
	for n := 3; n <= 8; n++ {
		values = append(values, 1<<(8*n-1), 1<<(8*n-1)+1)
	}
	ordered(t, FormUint, append(values, math.MaxUint64), AppendUint)
}

func TestOrderInt(t *testing.T) {
	values := []int64{0}
	for _, v := range []int64{1, 119, 120, 121, 122, 254, 255, 256, 257, 65535, 65536, 1 << 31, 1 << 40, 1 << 55, 1<<56 - 1, 1 << 56, math.MaxInt64} {
		values = append(values, v, -v)
	}
	values = append(values, math.MinInt64)
	slices.Sort(values)
	ordered(t, FormInt, values, AppendInt)
}

func TestOrderFloat(t *testing.T) {
	ordered(t, FormFloat, []float64{math.Inf(-1), -math.MaxFloat64, -1, -math.SmallestNonzeroFloat64, 0,
		math.SmallestNonzeroFloat64, 1, 1.5, math.MaxFloat64, math.Inf(1), math.NaN()}, AppendFloat)
	if !bytes.Equal(AppendFloat(nil, 0), AppendFloat(nil, math.Copysign(0, -1))) {
		t.Error("-0 is not 0")
	}
	if !bytes.Equal(AppendFloat(nil, math.NaN()), AppendFloat(nil, math.Float64frombits(math.MaxUint64))) {
		t.Error("there are two NaNs")
	}
}

func TestOrderText(t *testing.T) {
	ordered(t, FormText, []string{"", "\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "a", "a\x00", "a\x00b", "a\x01", "ab", "b", "\xff", "\xff\xff"}, AppendText[string])
}

type decimalValue struct {
	coefficient string
	exponent    int
}

func encodeDecimal(b []byte, d decimalValue) []byte {
	c, _ := new(big.Int).SetString(d.coefficient, 10)
	b, err := AppendDecimal(b, c, d.exponent)
	if err != nil {
		panic(err)
	}
	return b
}

func TestOrderDecimal(t *testing.T) {
	ordered(t, FormDecimal, []decimalValue{{"-1", 999}, {"-12345", 0}, {"-1234", 0}, {"-101", -1}, {"-10", 0}, {"-99", -1},
		{"-1", 0}, {"-1", -5}, {"0", 7}, {"1", -998}, {"1", -2}, {"11", -2}, {"111", -3}, {"9", -1}, {"1", 0}, {"10001", -4},
		{"99", -1}, {"10", 0}, {"1000000000000000000000000000001", -29}, {"1", 3}, {"10001", -1}, {"1", 300}}, encodeDecimal)
	if !bytes.Equal(encodeDecimal(nil, decimalValue{"100", -2}), encodeDecimal(nil, decimalValue{"1", 0})) {
		t.Error("1.00 is not 1")
	}
	huge := new(big.Int).Exp(big.NewInt(3), big.NewInt(4000), nil)
	if _, err := AppendDecimal(nil, huge, 0); err != ErrRange {
		t.Errorf("3^4000: %v", err)
	}
	if _, err := AppendDecimal(nil, big.NewInt(1), MaxExponent); err != ErrRange {
		t.Errorf("10^%d: %v", MaxExponent, err)
	}
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		size int
	}{
		{AppendUint(nil, 247), 1}, {AppendUint(nil, 255), 2}, {AppendUint(nil, 1<<16), 4}, {AppendUint(nil, 1<<63), 9},
		{AppendInt(nil, -120), 1}, {AppendInt(nil, 119), 1}, {AppendInt(nil, -121), 2}, {AppendInt(nil, 1000), 3},
		{encodeDecimal(nil, decimalValue{"1999", -2}), 5}, {AppendText(nil, "abc"), 5},
	} {
		if len(c.b) != c.size {
			t.Errorf("% x has %d bytes, want %d", c.b, len(c.b), c.size)
		}
	}
}

func TestSkipNull(t *testing.T) {
	c := Column{Form: FormUint, Nullable: true}
	for _, b := range [][]byte{{Null, 9}, {NotNull, 5, 9}, {NotNull, 0xf9, 1, 1, 9}} {
		if n, err := Skip(b, c); err != nil || n != len(b)-1 {
			t.Errorf("% x: %d, %v", b, n, err)
		}
	}
	for _, b := range [][]byte{{}, {2}, {NotNull}, {NotNull, 0xf9, 1}} {
		if _, err := Skip(b, c); err == nil {
			t.Errorf("% x was skipped", b)
		}
	}
}
