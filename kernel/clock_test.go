package kernel

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"math/rand"
	"strings"
	"testing"
)

// scale is exact while the result fits.
func TestScale(t *testing.T) {
	r := rand.New(rand.NewSource(seed(t)))
	for range 100_000 {
		v, m := r.Uint64()>>r.Intn(64), r.Uint64()>>r.Intn(64)
		want := new(big.Int).Mul(new(big.Int).SetUint64(v), new(big.Int).SetUint64(m))
		if want.Rsh(want, 32); want.IsUint64() && scale(v, m) != want.Uint64() {
			t.Fatalf("%d * %d >> 32 = %d, want %d", v, m, scale(v, m), want)
		}
	}
}

// The clock stays right for ten years, whatever the counter's frequency.
func TestClockDrift(t *testing.T) {
	for _, hz := range []uint64{24e6, 1e9, 2.1e9, 2_593_906_000, 5e9} {
		const years10 = 10 * 365 * 24 * 3600
		got := scale(hz*years10, (1e9<<32)/hz)
		if off := math.Abs(float64(got) - years10*1e9); off/years10 > 100 { // ns in a second
			t.Errorf("at %d Hz it is %.0f s off", hz, off/1e9)
		}
	}
}

// A deadline, or the timer's count, is never late, and early by a millionth at
// most and by what a count lasts.
func TestCounts(t *testing.T) {
	r := rand.New(rand.NewSource(seed(t)))
	for range 100_000 {
		ns, hz := 1000+r.Int63n(1e9-999), uint64(1e6+r.Int63n(10e9))
		exact := new(big.Int).Mul(big.NewInt(ns), new(big.Int).SetUint64(hz))
		exact.Div(exact, big.NewInt(1e9))
		got, want := counts(ns, hz), exact.Uint64()
		if got > want || want-got > want/1000+1 || hz > 1e9 && want-got > want/1_000_000+1 {
			t.Fatalf("%d ns at %d Hz: %d counts, want %d", ns, hz, got, want)
		}
	}
}

func TestTimespec(t *testing.T) {
	m := newTestMachine(t, 1024, 1)
	p := m.room(1)
	for _, test := range []struct {
		sec, nsec, want int64
		e               uintptr
	}{
		{0, 0, 0, 0}, {1, 5, 1e9 + 5, 0}, {1 << 40, 0, 1 << 32 * 1e9, 0}, {0, 999_999_999, 999_999_999, 0},
		{-1, 0, 0, errINVAL}, {math.MinInt64, 5, 0, errINVAL}, {0, 1e9, 0, errINVAL}, {5, -1, 0, errINVAL}, {1, math.MaxInt64, 0, errINVAL},
	} {
		*at[int64](p), *at[int64](p + 8) = test.sec, test.nsec
		if ns, e := readTimespec(p); ns != test.want || e != test.e {
			t.Errorf("%d s %d ns: got %d, %d", test.sec, test.nsec, ns, int64(e))
		}
	}
	if _, e := readTimespec(0x123000); e != errFAULT {
		t.Error("a time is read from nowhere")
	}
}

// The block function's test vectors without a nonce (RFC 8439, A.1).
func TestChaCha(t *testing.T) {
	defer func(key [8]uint32) { entropyKey = key }(entropyKey)
	for _, test := range []struct {
		key     string
		counter uint32
		want    string
	}{
		{"", 0, "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"},
		{"", 1, "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"},
		{strings.Repeat("00", 31) + "01", 1, "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"},
		{"00ff", 2, "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"},
	} {
		key, err := hex.DecodeString(test.key)
		if err != nil {
			t.Fatal(err)
		}
		key = append(key, make([]byte, 32-len(key))...)
		for i := range entropyKey {
			entropyKey[i] = binary.LittleEndian.Uint32(key[i*4:])
		}
		var block [16]uint32
		chacha(&block, test.counter)
		var got []byte
		for _, w := range block {
			got = binary.LittleEndian.AppendUint32(got, w)
		}
		if hex.EncodeToString(got) != test.want {
			t.Errorf("key %q, counter %d: %x", test.key, test.counter, got)
		}
	}
}

// Random bytes differ each time, fill what was asked for and nothing else.
func TestGetrandom(t *testing.T) {
	m := newTestMachine(t, 1024, 1)
	p := m.room(3)
	all := bytesAt(p, 3*pageSize)
	seen := map[string]bool{}
	for n := range uintptr(200) {
		clear(all)
		if got := getrandom(p+100, n); got != n {
			t.Fatalf("%d bytes of %d", got, n)
		}
		if bytes.ContainsFunc(all[:100], func(r rune) bool { return r != 0 }) || bytes.ContainsFunc(all[100+n:300], func(r rune) bool { return r != 0 }) {
			t.Fatal("it writes beside its buffer")
		}
		text := string(all[100 : 100+n])
		if n >= 16 && (seen[text[:16]] || strings.Count(text, "\x00") > 12) {
			t.Fatalf("not random: %x", text)
		}
		if n >= 16 {
			seen[text[:16]] = true
		}
	}
	if got := getrandom(p, 3*pageSize); got != 4096 {
		t.Errorf("%d bytes in one call", got)
	}
	if getrandom(0x123000, 8) != errFAULT {
		t.Error("random bytes go nowhere")
	}
}

// Entropy that is added changes what comes next, by each of its bytes.
func TestAddEntropy(t *testing.T) {
	m := newTestMachine(t, 1024, 1)
	p := m.room(1)
	keys := map[[8]uint32]int{}
	for n := range 257 {
		clear(bytesAt(p, pageSize))
		if n > 0 {
			bytesAt(p, pageSize)[n-1] = 1
		}
		entropyKey = [8]uint32{1, 2, 3}
		if got := addEntropy(p, pageSize); got != 256 {
			t.Fatalf("%d bytes taken", got)
		}
		if other, ok := keys[entropyKey]; ok {
			t.Fatalf("the same key with byte %d as with byte %d", n, other)
		}
		keys[entropyKey] = n
	}
	if addEntropy(0x123000, 8) != errFAULT {
		t.Error("entropy comes from nowhere")
	}
}
