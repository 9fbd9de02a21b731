package blockcrypt

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev"
)

// ciphers are x/crypto's implementation and the one for this processor, which may
// be the same.
func ciphers(t testing.TB, key []byte) map[string]unitCipher {
	t.Helper()
	p, err := newPortable(key)
	must(t, err)
	c, err := newCipher(key)
	must(t, err)
	return map[string]unitCipher{"portable": p, "chosen": c}
}

// TestVectors are those of IEEE Std 1619-2018, annex B, for AES-256 and 512 bytes:
// vectors 10 to 14, of each ciphertext the first and the last 32 bytes. The last
// ones depend on all tweaks before.
func TestVectors(t *testing.T) {
	key := unhex(t, "2718281828459045235360287471352662497757247093699959574966967627"+
		"3141592653589793238462643383279502884197169399375105820974944592")
	plain := make([]byte, 512)
	for i := range plain {
		plain[i] = byte(i)
	}
	for _, v := range []struct {
		unit        uint64
		first, last string
	}{
		{0xff, "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b", "773dad38014bd2092fa755c824bb5e54c4f36ffda9fcea70b9c6e693e148c151"},
		{0xffff, "77a31251618a15e6b92d1d66dffe7b50b50bad552305ba0217a610688eff7e11", "54fbff89eeaeea791f4a7ab1f9868294a4f9e27b42af8100cb9d59cef9645803"},
		{0xffffff, "e387aaa58ba483afa7e8eb469778317ecf4cf573aa9d4eac23f2cdf914e4e200", "35e09576a875305bed5f36ed242c8900dd1fa965bc950dfce09b132263a1eef52dd6888c309f5a7d712826"},
		{0xffffffff, "bf53d2dade78e822a4d949a9bc6766b01b06a8ef70d26748c6a7fc36d80ae4c5", "fbba88cf6516139420fcff3b7361d86322c4bd84c82f335abb152c4a93411373aaa8220"},
		{0xffffffffff, "64497e5a831e4a932c09be3e5393376daa599548b816031d224bbf50a818ed23", "4efce51cd3e70c25a1fbbbd609d273ad5b0d59631c531f6a0a57b9"},
	} {
		for name, c := range ciphers(t, key) {
			got := make([]byte, 512)
			c.encrypt(got, plain, v.unit)
			text := fmt.Sprintf("%x", got)
			if text[:len(v.first)] != v.first || text[len(text)-len(v.last):] != v.last {
				t.Errorf("%s, unit %x: %s", name, v.unit, text)
			}
			c.decrypt(got, got, v.unit)
			if !bytes.Equal(got, plain) {
				t.Errorf("%s, unit %x: decrypted to something else", name, v.unit)
			}
		}
	}
}

// compare has both implementations encrypt and decrypt the units that text begins
// with, in place and not, and looks that they agree and touch nothing beside.
func compare(t *testing.T, key, text []byte, first uint64, align int) {
	t.Helper()
	n := len(text) &^ (unitBytes - 1)
	all := ciphers(t, key)
	for op, do := range map[string]func(c unitCipher, to, from []byte){
		"encrypt": func(c unitCipher, to, from []byte) { c.encrypt(to, from, first) },
		"decrypt": func(c unitCipher, to, from []byte) { c.decrypt(to, from, first) },
	} {
		want := make([]byte, n)
		do(all["portable"], want, text[:n])
		guard := bytes.Repeat([]byte{0xa5}, align+n+64)
		to := bytes.Clone(guard)
		do(all["chosen"], to[align:align+n], text[:n])
		inPlace := bytes.Clone(guard)
		copy(inPlace[align:], text[:n])
		do(all["chosen"], inPlace[align:align+n], inPlace[align:align+n])
		copy(guard[align:], want)
		if !bytes.Equal(to, guard) || !bytes.Equal(inPlace, guard) {
			t.Errorf("%s of %d bytes, aligned to %d, from unit %#x: not what x/crypto has", op, n, align, first)
		}
	}
}

// TestAgainstXCrypto goes through the lengths of requests, and all alignments.
func TestAgainstXCrypto(t *testing.T) {
	text := random(1, 2*transferBytes+64)
	for n := 0; n <= 80; n++ {
		compare(t, random(uint64(n), xtsBytes), text[n%7:n%7+n*unitBytes], uint64(n)<<(n%55), n%16)
	}
	for align := range 64 {
		compare(t, random(uint64(align), xtsBytes), text[64-align:][:3*unitBytes], uint64(align), align)
	}
	for _, n := range []int{16 << 10, 64 << 10, transferBytes, 2 * transferBytes} {
		compare(t, random(uint64(n), xtsBytes), text[:n], maxDeviceBytes/unitBytes-uint64(n)/unitBytes, 1)
	}
	for shift := range 64 {
		compare(t, random(uint64(shift), xtsBytes), text[:2*unitBytes], 1<<shift, 0)
	}
	compare(t, random(9, xtsBytes), text[:4*unitBytes], 1<<64-2, 0) // which wraps around
}

func FuzzAgainstXCrypto(f *testing.F) {
	f.Add(random(1, xtsBytes), random(2, 3*unitBytes), uint64(0), byte(0))
	f.Add(make([]byte, xtsBytes), make([]byte, 70*unitBytes), uint64(1)<<39, byte(3))
	f.Fuzz(func(t *testing.T, key, text []byte, first uint64, align byte) {
		k := make([]byte, xtsBytes)
		copy(k, key)
		compare(t, k, text, first, int(align))
	})
}

func TestPartOfAUnit(t *testing.T) {
	c, err := newCipher(random(1, xtsBytes))
	must(t, err)
	for _, n := range [][2]int{{512, 511}, {511, 511}, {0, 512}, {513, 513}, {1024, 513}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d bytes to %d passed", n[1], n[0])
				}
			}()
			c.encrypt(make([]byte, n[0]), make([]byte, n[1]), 0)
		}()
	}
	if _, err := newCipher(random(1, xtsBytes-1)); err == nil {
		t.Error("a short key passed")
	}
}

// TestZerosBetween reads stretches of units with holes between them.
func TestZerosBetween(t *testing.T) {
	dev, _ := formatted(t, 512)
	d := opened(t, dev, "correct horse")
	const units = 300
	model := make([]byte, units*unitBytes)
	for i := range units {
		if at := i * unitBytes; i*i%7 > 1 {
			p := random(uint64(i), unitBytes)
			copy(model[at:], p)
			must(t, writeFull(d, p, int64(at)))
		}
	}
	got := make([]byte, len(model))
	must(t, readFull(d, got, 0))
	if !bytes.Equal(got, model) {
		t.Error("read something else")
	}
}

func TestClose(t *testing.T) {
	d, err := newDevice(blockdev.NewMemory(testBytes, 512), random(1, xtsBytes))
	must(t, err)
	done := make(chan error)
	for range 4 {
		go func() {
			p := random(1, 8<<10)
			for {
				if err := writeFull(d, p, 0); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	c := d.cipher
	d.Close()
	d.Close()
	for range 4 {
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	if _, err = d.ReadAt(make([]byte, 512), 0); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if !wiped(c) {
		t.Error("the keys are still there")
	}
}
