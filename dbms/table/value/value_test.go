package value

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

var examples = []any{true, int64(-5), uint64(7), 1.5, math.Inf(-1), "it's", "", []byte{0, 1, 255},
	time.Date(2026, 11, 21, 12, 0, 0, 123456000, time.UTC), time.Hour + time.Nanosecond, json.RawMessage(`{"a":1}`),
	[16]byte{1, 2, 15: 255}, decimal.RequireFromString("-12.34")}

func TestAny(t *testing.T) {
	for _, x := range examples {
		v, err := Of(x)
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := x.(decimal.Decimal); ok {
			if !d.Equal(v.Decimal()) {
				t.Errorf("%v became %v", d, v)
			}
		} else if got := v.Any(); !reflect.DeepEqual(got, x) {
			t.Errorf("%#v became %#v", x, got)
		}
		if again, err := Parse(v.String(), v.Type()); err != nil || again != v {
			t.Errorf("%s %s was read as %v, %v", v.Type(), v, again, err)
		}
	}
}

func TestConvert(t *testing.T) {
	for _, c := range []struct {
		from any
		to   Type
		want string // "" for an error
	}{
		{127, Int8, "127"}, {128, Int8, ""}, {-128, Int8, "-128"}, {-129, Int8, ""}, {-1, Uint64, ""}, {255, Uint8, "255"},
		{256, Uint8, ""}, {uint64(math.MaxUint64), Int64, ""}, {uint64(5), Int16, "5"}, {5, Decimal, "5"}, {1.25, Decimal, "1.25"},
		{math.NaN(), Decimal, ""}, {5, Float64, "5"}, {1<<53 + 1, Float64, ""}, {1 << 60, Float64, ""}, {"17", Int64, "17"},
		{"x", Int64, ""}, {"2026-01-02", Time, "2026-01-02T00:00:00Z"}, {"1h", Duration, "1h0m0s"}, {true, Int64, ""},
		{"{}", JSON, "{}"}, {"{", JSON, ""}, {"00112233-4455-6677-8899-aabbccddeeff", UUID, "00112233-4455-6677-8899-aabbccddeeff"},
		{"0011", UUID, ""}, {nil, UUID, "null"}, {[]byte("ab"), String, "ab"}, {decimal.RequireFromString("2.50"), Int64, ""},
		{decimal.RequireFromString("2.0"), Int64, "2"},
	} {
		v, err := Of(c.from)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Convert(v, c.to)
		if (err != nil) != (c.want == "") || err == nil && got.String() != c.want {
			t.Errorf("%v as %s: %v, %v; want %q", c.from, c.to, got, err, c.want)
		}
	}
}

func TestCompare(t *testing.T) {
	if Compare(OfFloat(math.NaN()), OfFloat(math.Inf(1))) <= 0 || Compare(OfFloat(0), OfFloat(math.Copysign(0, -1))) != 0 {
		t.Error("order of floats")
	}
	if Compare(OfInt(Int8, -1), OfInt(Int8, 1)) >= 0 || Compare(Value{}, OfBool(false)) >= 0 {
		t.Error("order of integers and null")
	}
}

// FuzzParse reads text as each type, and sees that what comes out is written so
// that it can be read again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"1", "-1.5e300", "2026-01-02T03:04:05.000006Z", "1h3ns", "true", "00ff", "{}", "1e-99999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for typ := Bool; typ <= last; typ++ {
			v, err := Parse(s, typ)
			if err != nil {
				continue
			}
			again, err := Parse(v.String(), typ)
			if err != nil || Compare(v, again) != 0 {
				t.Errorf("%q as %s is %v, and read again %v, %v", s, typ, v, again, err)
			}
		}
	})
}
