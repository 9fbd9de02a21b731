package embedded

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// TestGaps adds and removes rows at the ends of some groups, and in between, also
// in transactions that fail, and after each looks into all gaps.
func TestGaps(t *testing.T) {
	e, err := Open(vfs.NewMem(), "store", Options{Memory: MinMemory})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	var ends [4]uint64
	key := func(group int, n uint64) []byte {
		return binary.BigEndian.AppendUint64([]byte{byte(group), 0}, n)
	}
	fails := errors.New("fails")
	used := 0
	for range 3000 {
		_, err := e.Update(t.Context(), nil, func(tx engine.Tx) error {
			written := map[string]bool{}
			for range rng.IntN(100) {
				g := rng.IntN(len(ends))
				ends[g]++
				k := key(g, ends[g])
				if rng.IntN(8) == 0 {
					k = key(g, rng.Uint64N(1<<18))
				}
				if written[string(k)] {
					continue
				}
				written[string(k)] = true
				if e.gaps.contain(k) {
					used++
				}
				if _, _, err := tx.Get(k); err != nil {
					return err
				}
				var err error
				if rng.IntN(8) == 0 {
					err = tx.Delete(k)
				} else {
					err = tx.Put(k, k)
				}
				if err != nil {
					return err
				}
			}
			if rng.IntN(8) == 0 {
				return fails
			}
			return nil
		})
		if err != nil && !errors.Is(err, fails) {
			t.Fatal(err)
		}
		checkGaps(t, e)
	}
	if used < 1000 {
		t.Errorf("only %d keys were known to be missing", used)
	}
}

func checkGaps(t *testing.T, e *Engine) {
	t.Helper()
	for _, g := range e.gaps.list {
		if !g.known {
			continue
		}
		low, high := dataBounds(engine.Range{Low: g.low, High: g.high})
		it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
		if err != nil {
			t.Fatal(err)
		}
		if it.First() {
			t.Errorf("the gap from %x to %x has the row %x", g.low, g.high, it.Key())
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
