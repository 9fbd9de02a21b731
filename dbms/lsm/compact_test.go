package lsm

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// fullFS has no room for the next so many tables of compactions.
type fullFS struct {
	vfs.FS
	left atomic.Int64
}

func (f *fullFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") && c != "pebble-memtable-flush" && f.left.Add(-1) >= 0 {
		return nil, syscall.ENOSPC
	}
	return f.FS.Create(name, c)
}

func openSmall(t *testing.T, fs vfs.FS, automatic bool) *pebble.DB {
	t.Helper()
	p := &pebble.Options{FS: fs, MemTableSize: 64 << 10, Logger: silent{t}}
	Fit(p, 16<<20)
	p.LBaseMaxBytes = 64 << 10
	for i := range p.TargetFileSizes {
		p.TargetFileSizes[i] = 8 << 10
	}
	p.L0StopWritesThreshold = 1000
	p.DisableAutomaticCompactions = !automatic
	p.CompactionConcurrencyRange = func() (int, int) { return 1, 2 }
	p.EventListener = &pebble.EventListener{BackgroundError: func(error) {}}
	db, err := pebble.Open("db", p)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

type silent struct{ t *testing.T }

func (silent) Infof(string, ...any)                {}
func (silent) Errorf(string, ...any)               {}
func (s silent) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func fill(t *testing.T, db *pebble.DB, from, to int) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(from), 1))
	for i := from; i < to; i++ {
		value := make([]byte, 500)
		for j := range value {
			value[j] = byte(r.Uint32())
		}
		if err := db.Set(fmt.Appendf(nil, "%06d", r.IntN(2000)), value, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
}

// Deleted rows take no room after Compact, which goes piece by piece and stops when
// that is enough.
func TestCompact(t *testing.T) {
	db := openSmall(t, vfs.NewMem(), true)
	fill(t, db, 0, 4000)
	for i := range 2000 {
		if err := db.Delete(fmt.Appendf(nil, "%06d", i), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	asked := 0
	var c Compactor
	compact := func(most int) {
		t.Helper()
		asked = 0
		err := c.Compact(t.Context(), db, []byte("0"), []byte("9"), 64<<10, func() bool { asked++; return asked == most })
		if err != nil {
			t.Fatal(err)
		}
	}
	if compact(2); asked != 2 {
		t.Errorf("asked %d times where the second answer was yes", asked)
	}
	if compact(-1); asked < 1 { // Pebble compacts by itself, too, so there may be one left
		t.Error("no piece")
	}
	if m := db.Metrics().Total(); m.TablesSize > 64<<10 {
		t.Errorf("%d bytes are left of nothing", m.TablesSize)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Compact(ctx, db, []byte("0"), []byte("9"), 1, func() bool { return false }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// Pieces are measured with the values that lie outside of the tables.
func TestCutSeparated(t *testing.T) {
	p := &pebble.Options{FS: vfs.NewMem(), FormatMajorVersion: pebble.FormatValueSeparation, Logger: silent{t}}
	Fit(p, 64<<20)
	p.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{Enabled: true, MinimumSize: 1000, MaxBlobReferenceDepth: 10, TargetGarbageRatio: 1}
	}
	db, err := pebble.Open("db", p)
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 10_000)
	r := rand.NewChaCha8([32]byte{})
	for i := range 400 {
		r.Read(value)
		if err := db.Set(fmt.Appendf(nil, "%06d", i), value, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		if i%20 == 19 {
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	cuts, err := cut(db, []byte("0"), []byte("9"), 1<<20)
	if err != nil || len(cuts) < 2 {
		t.Errorf("%d cuts of 4 MB, %v", len(cuts), err)
	}
	for _, c := range []struct {
		low, high string
		want      int64
	}{{"0", "9", 4_000_000}, {"0", "0002", 2_000_000}, {"0003", "9", 1_000_000}, {"9", "99", 0}} {
		n, err := Size(db, []byte(c.low), []byte(c.high))
		if err != nil || n < c.want*8/10 || n > c.want*12/10 {
			t.Errorf("from %s to %s are %d bytes, not %d, %v", c.low, c.high, n, c.want, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

var compactRounds = flag.Int("compact.rounds", 40, "TestCompactFails compacts `n` times")

// Compactions that fail for want of room give an error, and do not end the program;
// see Compactor.
func TestCompactFails(t *testing.T) {
	rounds := *compactRounds
	fs := &fullFS{FS: vfs.NewMem()}
	db := openSmall(t, fs, false)
	failed := 0
	var c Compactor
	for i := range rounds {
		fill(t, db, i*200, i*200+200)
		fs.left.Store(rand.Int64N(4))
		err := c.Compact(t.Context(), db, []byte("0"), []byte("9"), 32<<10, func() bool { return false })
		if errors.Is(err, syscall.ENOSPC) {
			failed++
		} else if err != nil {
			t.Fatal(err)
		}
		fs.left.Store(0)
	}
	t.Logf("%d of %d failed", failed, rounds)
	if failed == 0 {
		t.Error("none has failed")
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
