package embedded

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// keeper keeps which keys there are. The commit lock guards it.
type keeper struct {
	there     map[string]bool
	restored  bool // it is in doubt since
	committed atomic.Int64
}

func (k *keeper) Changed(key []byte, deleted bool) {
	if deleted {
		delete(k.there, string(key))
	} else {
		k.there[string(key)] = true
	}
}

func (k *keeper) Restored(engine.Range) { k.restored = true }

func (k *keeper) Committed() { k.committed.Add(1) }

// keysOf are the keys of r that a transaction sees.
func keysOf(tx engine.Tx, r engine.Range) (map[string]bool, error) {
	there := map[string]bool{}
	c := tx.Scan(r, engine.ScanOptions{})
	for c.Next() {
		there[string(c.Key())] = true
	}
	return there, errors.Join(c.Err(), c.Close())
}

// What an observer was told is what a transaction sees, whoever commits beside it;
// each transaction in its ranges is told of once, and none after it has stopped.
func TestObserve(t *testing.T) {
	e, err := Open(vfs.NewMem(), "store", Options{Memory: MinMemory})
	must(t, err)
	defer e.Close()
	set := func(op *engine.Op, key string) {
		t.Helper()
		_, err := e.Update(t.Context(), op, func(tx engine.Tx) error { return tx.Put([]byte(key), nil) })
		must(t, err)
	}
	set(nil, "b0") // before
	k := &keeper{there: map[string]bool{"b0": true}}
	area := engine.Range{Low: []byte("b"), High: []byte("c")}
	stop := e.Observe(k, engine.KeyRange([]byte("x")), area)
	var wg sync.WaitGroup
	var inside atomic.Int64
	fails := errors.New("fails")
	for w := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 3))
			for range 300 {
				key := fmt.Appendf(nil, "%c%d", 'a'+rng.IntN(3), rng.IntN(20))
				fail := rng.IntN(5) == 0
				_, err := e.Update(t.Context(), &engine.Op{NoWait: rng.IntN(3) > 0}, func(tx engine.Tx) error {
					there, err := keysOf(tx, area)
					if err == nil && !k.restored && !maps.Equal(there, k.there) {
						err = fmt.Errorf("there is %v, told was %v", there, k.there)
					}
					if k.restored {
						k.there, k.restored = there, false
					}
					if err == nil && rng.IntN(2) == 0 {
						err = tx.Delete(key)
					} else if err == nil && rng.IntN(50) == 0 {
						err = tx.Restore(area, tx.Version())
					} else if err == nil {
						err = tx.Put(key, nil)
					}
					if err == nil && fail {
						err = fails
					}
					return err
				})
				if err == nil && key[0] == 'b' {
					inside.Add(1)
				}
				if err != nil && !errors.Is(err, fails) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got := k.committed.Load(); got < inside.Load() {
		t.Errorf("of %d transactions %d were told", inside.Load(), got)
	}
	stop()
	before := k.committed.Load()
	set(nil, "b1")
	if got := k.committed.Load(); got != before {
		t.Error("it is told of a transaction after it has stopped")
	}
}

// A transaction that nobody waits for, and that changes nothing a Watch waits for,
// stays in its group.
func TestWatchOfOthers(t *testing.T) {
	e, err := Open(vfs.NewMem(), "store", Options{Memory: MinMemory})
	must(t, err)
	defer e.Close()
	woken := make(chan error, 1)
	go func() {
		_, err := e.Watch(t.Context(), "", engine.KeyRange([]byte("b")))
		woken <- err
	}()
	for e.Metrics().Watchers == 0 {
		runtime.Gosched()
	}
	set := func(key string) {
		_, err := e.Update(t.Context(), &engine.Op{NoWait: true}, func(tx engine.Tx) error { return tx.Put([]byte(key), nil) })
		must(t, err)
	}
	hits := func() int {
		e.groups.mu.Lock()
		defer e.groups.mu.Unlock()
		if e.groups.open == nil {
			return 0
		}
		return len(e.groups.open.hits)
	}
	set("a")
	if hits() != 0 {
		t.Error("a watcher is to be woken for another key")
	}
	set("b")
	if hits() != 0 {
		t.Error("the group is still open")
	}
	must(t, <-woken)
}
