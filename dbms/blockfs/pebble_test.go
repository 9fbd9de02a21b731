package blockfs

import (
	"fmt"
	"math"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tuplix/tuplix/dbms/blockdev/crash"
)

// quiet drops what Pebble logs.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(f string, a ...any) {
	panic(fmt.Sprintf(f, a...))
}

func pebbleOptions(fs *FS) *pebble.Options {
	return &pebble.Options{FS: fs, BytesPerSync: math.MaxInt32, Logger: quiet{}}
}

func TestPebbleKeepsWhatItWrote(t *testing.T) {
	for _, sector := range []int{512, 4096} {
		t.Run(fmt.Sprint(sector), func(t *testing.T) {
			dev, fs := formatted(t, 64<<20, sector)
			opts := pebbleOptions(fs)
			opts.MemTableSize = 256 << 10
			db, err := pebble.Open("db", opts)
			must(t, err)
			for i := range 20000 {
				must(t, db.Set(fmt.Appendf(nil, "key%06d", i*7919%20000), pattern(i, 100), pebble.NoSync))
			}
			must(t, db.Close())
			again := reopen(t, dev, fs)
			db, err = pebble.Open("db", pebbleOptions(again))
			must(t, err)
			it, err := db.NewIter(nil)
			must(t, err)
			n := 0
			for it.First(); it.Valid(); it.Next() {
				n++
			}
			must(t, it.Close())
			must(t, db.Close())
			checkAll(t, dev, again)
			if n != 20000 {
				t.Fatalf("%d keys", n)
			}
		})
	}
}

// TestCommitCost counts what a synced commit costs the device in the steady
// state: inside a fresh log, and in a recycled one.
func TestCommitCost(t *testing.T) {
	dev := crash.New(64<<20, 512)
	fs, err := Open(dev, Options{FormatBlank: true, inline: true})
	must(t, err)
	opts := pebbleOptions(fs)
	opts.MemTableSize = 512 << 10
	opts.DisableAutomaticCompactions = true // they write on their own account
	var recycled uint64
	opts.EventListener = &pebble.EventListener{WALCreated: func(i pebble.WALCreateInfo) {
		recycled = uint64(i.RecycledFileNum)
	}}
	db, err := pebble.Open("", opts)
	must(t, err)
	n := 0
	commit := func() {
		n++
		must(t, db.Set(fmt.Appendf(nil, "key%d", n), pattern(n, 200), pebble.Sync))
	}
	measure := func(name string) {
		for range 50 { // past the creation of the log
			commit()
		}
		writes, flushes := dev.Count(crash.Write), dev.Count(crash.Flush)
		for range 300 {
			commit()
		}
		writes, flushes = dev.Count(crash.Write)-writes, dev.Count(crash.Flush)-flushes
		t.Logf("%s log: 300 commits: %d writes, %d flushes", name, writes, flushes)
		if writes != 300 || flushes != 300 {
			t.Errorf("%s log: 300 commits cost %d writes and %d flushes", name, writes, flushes)
		}
	}
	measure("fresh")
	for recycled == 0 {
		must(t, db.Set([]byte("fill"), make([]byte, 100<<10), pebble.Sync))
		must(t, db.Flush())
	}
	measure("recycled")
	must(t, db.Close())
	checkAll(t, dev, fs)
}
