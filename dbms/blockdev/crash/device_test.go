package crash

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

func sector(c byte) []byte { return bytes.Repeat([]byte{c}, 512) }

func read(t *testing.T, d *Device, n int64) byte {
	t.Helper()
	p := make([]byte, 512)
	if _, err := d.ReadAt(p, n*512); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p, sector(p[0])) {
		t.Fatal("a sector is torn inside")
	}
	return p[0]
}

// TestCrashOutcomes: what is flushed stays; of the rest each combination comes up.
func TestCrashOutcomes(t *testing.T) {
	seen := map[[3]byte]int{}
	for seed := range uint64(300) {
		d := New(1<<20, 512)
		for i, c := range []byte{1, 2, 3} {
			if _, err := d.WriteAt(sector(c), int64(i)*512); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				if err := d.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := d.WriteAt(sector(4), 512); err != nil {
			t.Fatal(err)
		}
		if read(t, d, 1) != 4 {
			t.Fatal("the last write is not seen")
		}
		c, err := d.Crash(rand.New(rand.NewPCG(seed, 0)))
		if err != nil {
			t.Fatal(err)
		}
		seen[[3]byte{read(t, c, 0), read(t, c, 1), read(t, c, 2)}]++
	}
	for _, b := range []byte{0, 2, 4} {
		for _, c := range []byte{0, 3} {
			if seen[[3]byte{1, b, c}] == 0 {
				t.Errorf("1 %d %d never came up: %v", b, c, seen)
			}
		}
	}
	if len(seen) != 6 {
		t.Errorf("outcomes %v", seen)
	}
}

func TestCutAfter(t *testing.T) {
	d := New(1<<20, 512)
	d.CutAfter(1)
	if _, err := d.WriteAt(sector(1), 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Flush(); !errors.Is(err, ErrPowerCut) {
		t.Fatalf("flush: %v", err)
	}
	if _, err := d.ReadAt(make([]byte, 512), 0); !errors.Is(err, ErrPowerCut) || !d.Cut() {
		t.Fatalf("read after the cut: %v", err)
	}
}

// TestForkAfter: the device lives on, and Crash gives what was at the cut.
func TestForkAfter(t *testing.T) {
	d := New(1<<20, 512)
	d.ForkAfter(2)
	for c := range byte(4) {
		if _, err := d.WriteAt(sector(c+1), 0); err != nil {
			t.Fatal(err)
		}
		if err := d.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, d, 0) != 4 {
		t.Error("the device does not live on")
	}
	c, err := d.Crash(rand.New(rand.NewPCG(1, 0)))
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, c, 0); got != 1 {
		t.Errorf("found %d, want what was flushed before the cut", got)
	}
}
