package blockfs

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tuplix/tuplix/dbms/blockdev/crash"
)

var pebbleSeeds = flag.Uint64("pebble.seeds", 120, "number of seeds of the crash test with Pebble on top")

// TestPebbleCrash commits numbered batches, some synced, cuts the power, and
// opens the database again. What it finds must be exactly the first n batches,
// where n is at least the last one acknowledged as synced.
func TestPebbleCrash(t *testing.T) {
	seeds := *pebbleSeeds / raceShare
	if testing.Short() {
		seeds /= 10
	}
	for seed := range seeds {
		if err := pebbleCrashRun(seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// pebbleHistory is what was committed: batch n sets some keys to n.
type pebbleHistory struct {
	rng    *rand.Rand
	walDir string
	keys   []map[string]int // after n batches; the first is empty
	acked  int              // this many batches are surely durable
}

func pebbleCrashRun(seed uint64) error {
	h := &pebbleHistory{rng: rand.New(rand.NewPCG(seed, 0xDB)), keys: []map[string]int{{}}}
	h.walDir = []string{"", "wal"}[h.rng.IntN(2)]
	dev := crash.New(16<<20, []int{512, 4096}[h.rng.IntN(2)])
	over, err := coverOf(seed, dev)
	if err != nil {
		return err
	}
	top, err := over(dev)
	if err != nil {
		return err
	}
	if err := Format(top, FormatOptions{}); err != nil {
		return err
	}
	for round := range 4 {
		if err := h.session(dev, top); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if dev, err = dev.Crash(h.rng); err != nil {
			return err
		}
		if top, err = over(dev); err != nil {
			return err
		}
		if _, err := Check(top); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	return nil
}

// session opens the database, compares it, and commits until the power is out.
// Pebble panics when its disk fails, so the device forks at the cut and what
// happens after does not count.
func (h *pebbleHistory) session(dev *crash.Device, top Device) (err error) {
	fs, err := Open(top, Options{inline: true})
	if err != nil {
		return err
	}
	dev.ForkAfter(h.rng.IntN(1 << (2 + h.rng.IntN(10))))
	db, err := pebble.Open("db", h.options(fs))
	if err != nil {
		return fmt.Errorf("pebble: %w", err)
	}
	if err := h.compare(db); err != nil {
		return err
	}
	for i := 0; !dev.Cut() && i < 2000; i++ {
		if err := h.commit(db, dev); err != nil {
			return err
		}
	}
	return errors.Join(db.Close(), fs.Close(), fs.audit())
}

func (h *pebbleHistory) options(fs *FS) *pebble.Options {
	opts := pebbleOptions(fs)
	opts.MemTableSize = 64 << 10
	opts.L0CompactionThreshold = 2
	opts.FormatMajorVersion = pebble.FormatNewest
	opts.WALDir = h.walDir
	return opts
}

// commit makes the next batch.
func (h *pebbleHistory) commit(db *pebble.DB, dev *crash.Device) error {
	n := len(h.keys)
	next := map[string]int{}
	for k, v := range h.keys[n-1] {
		next[k] = v
	}
	b := db.NewBatch()
	for range 1 + h.rng.IntN(5) {
		key := fmt.Sprintf("key%02d", h.rng.IntN(40))
		next[key] = n
		if err := b.Set([]byte(key), pattern(n, 1+h.rng.IntN(1<<h.rng.IntN(13))), nil); err != nil {
			return err
		}
	}
	if err := b.Set([]byte("last"), fmt.Append(nil, n), nil); err != nil {
		return err
	}
	h.keys = append(h.keys, next)
	write := pebble.NoSync
	if h.rng.IntN(3) == 0 {
		write = pebble.Sync
	}
	if err := b.Commit(write); err != nil {
		return err
	}
	if write == pebble.Sync && !dev.Cut() {
		h.acked = n
	}
	if h.rng.IntN(40) == 0 {
		return db.Flush()
	}
	return nil
}

// compare finds out how many batches are left and that they are whole.
func (h *pebbleHistory) compare(db *pebble.DB) error {
	n := 0
	if v, closer, err := db.Get([]byte("last")); err == nil {
		_, err = fmt.Sscan(string(v), &n)
		if err = errors.Join(err, closer.Close()); err != nil {
			return err
		}
	} else if !errors.Is(err, pebble.ErrNotFound) {
		return err
	}
	if n < h.acked || n >= len(h.keys) {
		return fmt.Errorf("%d batches are left, %d were acknowledged and %d committed", n, h.acked, len(h.keys)-1)
	}
	for k, want := range h.keys[n] {
		v, closer, err := db.Get([]byte(k))
		if err != nil {
			return fmt.Errorf("after %d batches: %s: %w", n, k, err)
		}
		if !bytes.Equal(v, pattern(want, len(v))) {
			return fmt.Errorf("after %d batches: %s is not as batch %d left it", n, k, want)
		}
		if err := closer.Close(); err != nil {
			return err
		}
	}
	h.keys, h.acked = h.keys[:n+1], n
	return nil
}
