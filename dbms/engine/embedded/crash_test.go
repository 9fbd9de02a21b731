package embedded

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/blockdev/crash"
	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/engine"
)

var (
	crashSeeds = flag.Uint64("crash.seeds", 5, "number of seeds of the crash tests")
	crashSeed  = flag.Int64("crash.seed", -1, "only this seed")
)

// TestCrash runs random transactions, cuts the power, opens the store again and
// compares it with a model, at the newest and at older versions. What was
// acknowledged as durable must be there, and nothing in part.
func TestCrash(t *testing.T) {
	seeds(t, func(seed uint64) error {
		h := newHistory(seed)
		fs := vfs.NewCrashableMem()
		for round := range 6 {
			e, err := h.open(fs)
			if err != nil {
				return fmt.Errorf("round %d: %w", round, err)
			}
			if err := h.session(e, 20+h.rng.IntN(150), func() bool { return false }); err != nil {
				return fmt.Errorf("round %d: %w", round, err)
			}
			if h.rng.IntN(4) == 0 {
				h.acked = len(h.states) - 1
				if err := e.Close(); err != nil {
					return err
				}
				continue
			}
			clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: h.rng.IntN(101), RNG: h.rng})
			if err := e.Close(); err != nil {
				return err
			}
			fs = clone
		}
		return nil
	})
}

// TestDeviceCrash is the same on blockfs and a disk that loses, tears and
// reorders what was not flushed.
func TestDeviceCrash(t *testing.T) {
	seeds(t, func(seed uint64) error {
		h := newHistory(seed)
		dev := crash.New(32<<20, 512)
		if err := blockfs.Format(dev, blockfs.FormatOptions{}); err != nil {
			return err
		}
		for round := range 4 {
			fs, err := blockfs.Open(dev, blockfs.Options{})
			if err != nil {
				return err
			}
			dev.ForkAfter(h.rng.IntN(1 << (3 + h.rng.IntN(9))))
			e, err := h.open(fs)
			if err != nil {
				return fmt.Errorf("round %d: %w", round, err)
			}
			if err := h.session(e, 300, dev.Cut); err != nil {
				return fmt.Errorf("round %d: %w", round, err)
			}
			if err := errors.Join(e.Close(), fs.Close()); err != nil {
				return err
			}
			if dev, err = dev.Crash(h.rng); err != nil {
				return err
			}
		}
		return nil
	})
}

func seeds(t *testing.T, run func(seed uint64) error) {
	n := *crashSeeds
	if testing.Short() {
		n = min(n, 1)
	}
	for seed := range n {
		if *crashSeed >= 0 && seed != uint64(*crashSeed) {
			continue
		}
		if err := run(seed); err != nil {
			t.Fatalf("-crash.seed %d: %v", seed, err)
		}
	}
}

// history is the model: the state after each transaction.
type history struct {
	rng    *rand.Rand
	clock  time.Time
	states []modelState
	acked  int // the first so many states after the empty one are durable
	told   int // of the states, the last that is not Untold
	ops    int

	unknown bool       // the last step failed, and may have taken effect:
	tried   modelState // like this
}

type modelState struct {
	version engine.Version
	keys    map[string]string
}

func newHistory(seed uint64) *history {
	return &history{rng: rand.New(rand.NewPCG(seed, 7)), clock: time.UnixMicro(1_700_000_000_000_000)}
}

// now is a clock that often stands still and sometimes jumps back.
func (h *history) now() time.Time {
	switch h.rng.IntN(20) {
	case 0:
		h.clock = h.clock.Add(-time.Second)
	case 1, 2, 3, 4, 5:
		h.clock = h.clock.Add(time.Duration(h.rng.IntN(1000)) * time.Microsecond)
	}
	return h.clock
}

// open opens the store, finds out how much is left, and compares that.
func (h *history) open(fs vfs.FS) (*Engine, error) {
	e, err := Open(fs, "store", Options{Memory: MinMemory, Now: h.now, NoBackground: true, tune: func(p *pebble.Options) {
		p.MemTableSize = 64 << 10
		p.L0CompactionThreshold = 1
		for i := range p.Levels {
			p.Levels[i].BlockSize = 256
		}
	}})
	if err != nil {
		return nil, err
	}
	born := e.born.external()
	if len(h.states) == 0 || h.acked == 0 && h.states[0].version != born { // made anew
		h.states = []modelState{{e.last.Load().external(), map[string]string{}}}
	}
	left := -1
	newest := e.last.Load().external()
	if h.unknown && newest > h.states[len(h.states)-1].version && h.tried.keys != nil {
		h.tried.version = newest
		h.states = append(h.states, h.tried)
	}
	h.unknown, h.tried = false, modelState{}
	for i, s := range h.states {
		if s.version <= newest {
			left = i
		}
	}
	if left < h.acked {
		return nil, fmt.Errorf("%d transactions are left of %d that were acknowledged", left, h.acked)
	}
	h.states = h.states[:left+1]
	h.acked, h.told = left, left
	for range 5 {
		if err := h.compare(e, h.rng.IntN(len(h.states))); err != nil {
			return nil, err
		}
	}
	return e, errors.Join(h.compare(e, left), check(e))
}

func check(e *Engine) error {
	var errs []error
	err := e.Check(context.Background(), func(p engine.Problem) {
		errs = append(errs, fmt.Errorf("check: %s: %s", p.Where, p.What))
	})
	return errors.Join(append(errs, err)...)
}

// compare scans the store as of one state.
func (h *history) compare(e *Engine, i int) error {
	s := h.states[i]
	return e.View(context.Background(), s.version, func(r engine.Reader) error {
		for _, reverse := range []bool{false, true} {
			var got []string
			c := r.Scan(engine.All, engine.ScanOptions{Reverse: reverse})
			for c.Next() {
				got = append(got, string(c.Key())+"="+string(c.Value()))
			}
			if err := errors.Join(c.Err(), c.Close()); err != nil {
				return err
			}
			if reverse {
				slices.Reverse(got)
			}
			if want := s.pairs(); !slices.Equal(got, want) {
				return fmt.Errorf("state %d of %d, reverse %v: %.2000q\nwant %.2000q", i, len(h.states), reverse, got, want)
			}
		}
		key := h.key()
		value, found, err := r.Get([]byte(key))
		if want, there := s.keys[key]; err == nil && (found != there || string(value) != want) {
			return fmt.Errorf("state %d: %s is %.20q, %v", i, key, value, found)
		}
		return err
	})
}

func (s *modelState) pairs() []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(s.keys)) {
		out = append(out, k+"="+s.keys[k])
	}
	return out
}

func (h *history) key() string { return fmt.Sprintf("k%02d", h.rng.IntN(30)) }

// session runs random transactions until it is enough.
func (h *history) session(e *Engine, steps int, cut func() bool) error {
	for range steps {
		if cut() {
			return nil
		}
		if err := h.step(e, cut); err != nil {
			return err
		}
	}
	return nil
}

func (h *history) step(e *Engine, cut func() bool) error {
	switch h.rng.IntN(25) {
	case 0:
		return h.compare(e, h.rng.IntN(len(h.states)))
	case 1:
		_, err := e.Collect(context.Background()) // repairs; all is younger than the retention
		return err
	case 2:
		return check(e)
	case 3, 4, 5:
		return h.tell(e, cut)
	}
	before := h.states[len(h.states)-1]
	next := modelState{keys: maps.Clone(before.keys)}
	op := &engine.Op{User: fmt.Sprint("user", h.rng.IntN(3)), NoWait: h.rng.IntN(3) > 0}
	op.Untold = op.NoWait && h.rng.IntN(4) == 0
	if h.rng.IntN(5) == 0 {
		h.ops++
		op.ID = fmt.Sprint("op", h.ops)
	}
	var err error
	next.version, err = e.Update(context.Background(), op, func(tx engine.Tx) error {
		if h.rng.IntN(12) == 0 {
			return h.restore(tx, &next)
		}
		return h.write(tx, &next)
	})
	if err != nil {
		h.tried = next
		return err
	}
	if next.version <= before.version {
		return fmt.Errorf("version %x follows %x", next.version, before.version)
	}
	h.states = append(h.states, next)
	if !op.Untold {
		h.told = len(h.states) - 1
	}
	if !op.NoWait && !cut() {
		h.acked = len(h.states) - 1
	}
	return nil
}

// tell is what carries words out of the machine: it waits for what is owed, and then
// all that was done may be told of.
func (h *history) tell(e *Engine, cut func() bool) error {
	told := min(h.told, len(h.states)-1)
	if v := e.Owed(); v != "" {
		if err := e.Sync(context.Background(), v); err != nil {
			return err
		}
	}
	if v := e.Owed(); v != "" {
		return fmt.Errorf("%x is owed after it was synced", v)
	}
	if !cut() {
		h.acked = max(h.acked, told)
	}
	return nil
}

func (h *history) write(tx engine.Tx, next *modelState) error {
	for range 1 + h.rng.IntN(4) {
		key := h.key()
		if h.rng.IntN(3) == 0 {
			if _, _, err := tx.Get([]byte(key)); err != nil {
				return err
			}
		}
		if h.rng.IntN(4) == 0 {
			delete(next.keys, key)
			if err := tx.Delete([]byte(key)); err != nil {
				return err
			}
			continue
		}
		next.keys[key] = fmt.Sprintf("%0*d", 1+h.rng.IntN(200), h.rng.IntN(1000))
		if err := tx.Put([]byte(key), []byte(next.keys[key])); err != nil {
			return err
		}
	}
	return nil
}

func (h *history) restore(tx engine.Tx, next *modelState) error {
	a, b := h.key(), h.key()
	r := engine.Range{Low: []byte(min(a, b)), High: []byte(max(a, b) + "~")}
	to := h.states[h.rng.IntN(len(h.states))]
	for k := range next.keys {
		if r.Contains([]byte(k)) {
			delete(next.keys, k)
		}
	}
	for k, v := range to.keys {
		if r.Contains([]byte(k)) {
			next.keys[k] = v
		}
	}
	return tx.Restore(r, to.version)
}
