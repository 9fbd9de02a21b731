package blockcrypt

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev"
	"github.com/tuplix/tuplix/dbms/blockdev/crash"
)

// cheap makes tests fast.
var cheap = Cost{Passes: 1, MemoryKiB: minMemoryKiB, Lanes: 1}

const testBytes = 8 << 20

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func formatted(t testing.TB, sector int) (dev *blockdev.Memory, recovery string) {
	t.Helper()
	dev = blockdev.NewMemory(testBytes, sector)
	recovery, err := Format(dev, Passphrase, []byte("correct horse"), cheap)
	must(t, err)
	return dev, recovery
}

func opened(t testing.TB, dev BlockDevice, secret string) *Device {
	t.Helper()
	d, err := Open(dev, []byte(secret), Options{})
	must(t, err)
	return d
}

// raw is all that is on a device.
func raw(t testing.TB, dev BlockDevice) []byte {
	t.Helper()
	p := make([]byte, dev.Size())
	must(t, readFull(dev, p, 0))
	return p
}

func random(seed uint64, n int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	p := make([]byte, n)
	rand.NewChaCha8(key).Read(p)
	return p
}

func TestReadsWhatItWrote(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		dev, recovery := formatted(t, sector)
		d := opened(t, dev, "correct horse")
		if d.Size() != testBytes-dataStart || d.SectorSize() != sector {
			t.Fatalf("%d bytes in sectors of %d", d.Size(), d.SectorSize())
		}
		model := make([]byte, d.Size())
		rng := rand.New(rand.NewPCG(1, uint64(sector)))
		for i := range 200 {
			n := sector * (1 + rng.IntN(1<<rng.IntN(10)))
			off := sector * rng.IntN((len(model)-n)/sector)
			p := random(uint64(i), n)
			must(t, writeFull(d, p, int64(off)))
			if !bytes.Equal(p, random(uint64(i), n)) {
				t.Fatal("the caller's bytes were changed")
			}
			copy(model[off:], p)
		}
		for _, secret := range []string{"correct horse", recovery, strings.ToLower(strings.ReplaceAll(recovery, "-", " ")) + "\n"} {
			if !bytes.Equal(raw(t, opened(t, dev, secret)), model) {
				t.Fatal("read something else")
			}
		}
	}
}

func TestRange(t *testing.T) {
	dev, _ := formatted(t, 4096)
	d := opened(t, dev, "correct horse")
	before := raw(t, dev)
	for _, c := range []struct{ off, n int64 }{{1, 4096}, {0, 512}, {-4096, 4096}, {-dataStart, 4096}, {d.Size(), 4096}, {d.Size() - 4096, 8192}} {
		p := make([]byte, c.n)
		_, read := d.ReadAt(p, c.off)
		_, write := d.WriteAt(p, c.off)
		for _, err := range []error{read, write, d.Discard(c.off, c.n)} {
			if !errors.Is(err, blockdev.ErrRange) {
				t.Errorf("%d bytes at %d: %v", c.n, c.off, err)
			}
		}
	}
	if !bytes.Equal(raw(t, dev), before) {
		t.Error("the disk changed")
	}
}

func TestNothingShows(t *testing.T) {
	dev, recovery := formatted(t, 512)
	d := opened(t, dev, "correct horse")
	marker := []byte("plaintext marker")
	must(t, writeFull(d, bytes.Repeat(marker, 64<<10/len(marker)), 64<<10))
	disk := raw(t, dev)
	for _, s := range []string{string(marker), "correct horse", recovery, strings.ReplaceAll(recovery, "-", "")} {
		if bytes.Contains(disk, []byte(s)) {
			t.Errorf("%.20q is on the disk", s)
		}
	}
	seen := map[string]bool{}
	for off := dataStart + 64<<10; off < dataStart+128<<10; off += 16 {
		seen[string(disk[off:off+16])] = true
	}
	if len(seen) != 4096 {
		t.Errorf("%d of 4096 blocks of 16 bytes differ", len(seen))
	}
}

// TestBlocksAreBoundToTheirPlace moves ciphertext.
func TestBlocksAreBoundToTheirPlace(t *testing.T) {
	dev, _ := formatted(t, 512)
	d := opened(t, dev, "correct horse")
	p := random(1, 512)
	must(t, writeFull(d, p, 0))
	c := make([]byte, 512)
	must(t, readFull(dev, c, dataStart))
	must(t, writeFull(dev, c, dataStart+512))
	must(t, readFull(d, c, 512))
	if bytes.Equal(c, p) {
		t.Error("a unit reads the same in another place")
	}
}

func TestUnwrittenReadsAsZeros(t *testing.T) {
	dev, _ := formatted(t, 512)
	d := opened(t, dev, "correct horse")
	must(t, writeFull(d, random(1, 256<<10), 0))
	must(t, d.Discard(64<<10, 64<<10))
	p := raw(t, d)
	if !allZeroes(p[64<<10:128<<10]) || !allZeroes(p[256<<10:]) || allZeroes(p[:512]) {
		t.Error("what was discarded or never written is not zero, or the rest is")
	}
	must(t, writeFull(d, make([]byte, 512), 0))
	c := make([]byte, 512)
	must(t, readFull(dev, c, dataStart))
	if allZeroes(c) {
		t.Error("zeros that were written show")
	}
}

func allZeroes(p []byte) bool { return len(bytes.Trim(p, "\x00")) == 0 }

// TestKnownAnswer is a vector of IEEE 1619 for AES-256, so that a change of the
// library does not go unseen: data unit ff, plaintext 00, 01, ... twice.
func TestKnownAnswer(t *testing.T) {
	key := unhex(t, "2718281828459045235360287471352662497757247093699959574966967627"+
		"3141592653589793238462643383279502884197169399375105820974944592")
	d, err := newDevice(blockdev.NewMemory(testBytes, 512), key)
	must(t, err)
	plain := make([]byte, 512)
	for i := range plain {
		plain[i] = byte(i)
	}
	got := make([]byte, 512)
	d.encrypt(got, plain, 0xff*512)
	want := unhex(t, "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b"+
		"5d31e276f8fe4a8d66b317f9ac683f44680a86ac35adfc3345befecb4bb188fd")
	if !bytes.Equal(got[:64], want) {
		t.Errorf("%x, want %x", got[:64], want)
	}
}

func TestParallel(t *testing.T) {
	dev, _ := formatted(t, 512)
	d := opened(t, dev, "correct horse")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			off := int64(i) * 512 << 10
			for round := range 20 {
				p, got := random(uint64(i*100+round), 300<<10), make([]byte, 300<<10)
				if err := errors.Join(writeFull(d, p, off), readFull(d, got, off)); err != nil || !bytes.Equal(p, got) {
					t.Errorf("worker %d, round %d: %v", i, round, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNoAllocation(t *testing.T) {
	dev, _ := formatted(t, 512)
	d := opened(t, dev, "correct horse")
	p := make([]byte, 16<<10)
	n := testing.AllocsPerRun(200, func() {
		must(t, writeFull(d, p, 0))
		must(t, readFull(d, p, 0))
	})
	if n >= 1 && !raceEnabled {
		t.Errorf("%v allocations for a write and a read", n)
	}
}

func TestErrorsAreReturned(t *testing.T) {
	disk := crash.New(testBytes, 512)
	_, err := Format(disk, KeyFile, random(1, 32), cheap)
	must(t, err)
	d, err := Open(disk, random(1, 32), Options{})
	must(t, err)
	broken := errors.New("broken")
	disk.SetHook(func(crash.Op, int64, int64) error { return broken })
	p := make([]byte, 512<<10)
	_, read := d.ReadAt(p, 0)
	n, write := d.WriteAt(p, 0)
	for _, err := range []error{read, write, d.Flush(), d.Discard(0, 512)} {
		if !errors.Is(err, broken) {
			t.Error(err)
		}
	}
	if n != 0 {
		t.Errorf("%d bytes written", n)
	}
	if _, err := Open(disk, random(1, 32), Options{}); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := IsEncrypted(disk); !errors.Is(err, broken) {
		t.Error(err)
	}
}
