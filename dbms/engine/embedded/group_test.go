package embedded

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// TestGroup: whoever looks sees each transaction that has returned, whatever the
// group does that it is in, and each transaction sees those before it.
func TestGroup(t *testing.T) {
	e, err := Open(vfs.NewMem(), "store", Options{Memory: MinMemory})
	must(t, err)
	defer e.Close()
	const counters, rounds = 5, 400
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			key := []byte(fmt.Sprintf("of %d", w))
			for n := range uint64(rounds) {
				op := &engine.Op{NoWait: rng.IntN(4) > 0}
				v, err := e.Update(t.Context(), op, func(tx engine.Tx) error {
					if err := addOne(tx, []byte{'c', byte(rng.IntN(counters))}); err != nil {
						return err
					}
					return tx.Put(key, binary.BigEndian.AppendUint64(nil, n))
				})
				if err != nil {
					t.Error(err)
					return
				}
				if rng.IntN(8) > 0 {
					continue
				}
				err = e.View(t.Context(), v, func(r engine.Reader) error {
					if got, _, err := r.Get(key); err != nil || binary.BigEndian.Uint64(got) != n {
						return fmt.Errorf("version %d of %q is %x, %v", n, key, got, err)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	sum := uint64(0)
	must(t, e.View(t.Context(), "", func(r engine.Reader) error {
		for i := range counters {
			v, _, err := r.Get([]byte{'c', byte(i)})
			must(t, err)
			sum += binary.BigEndian.Uint64(v)
		}
		return nil
	}))
	if sum != 4*rounds {
		t.Errorf("%d were counted, not %d", sum, 4*rounds)
	}
	must(t, e.Check(t.Context(), func(p engine.Problem) { t.Error(p) }))
}

// addOne counts in a row, which it reads by a scan at times.
func addOne(tx engine.Tx, key []byte) error {
	n := uint64(0)
	v, found, err := tx.Get(key)
	if err != nil {
		return err
	}
	if found {
		n = binary.BigEndian.Uint64(v)
	}
	if n%7 == 0 {
		c := tx.Scan(engine.KeyRange(key), engine.ScanOptions{})
		if c.Next() != found || found && !bytes.Equal(c.Value(), binary.BigEndian.AppendUint64(nil, n)) {
			return fmt.Errorf("a scan shows other than %d", n)
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
	return tx.Put(key, binary.BigEndian.AppendUint64(nil, n+1))
}

// TestGroupLinger: a transaction nobody waits for and nobody looks for is applied.
func TestGroupLinger(t *testing.T) {
	e, err := Open(vfs.NewMem(), "store", Options{Memory: MinMemory})
	must(t, err)
	defer e.Close()
	v, err := e.Update(t.Context(), &engine.Op{NoWait: true}, func(tx engine.Tx) error { return tx.Put([]byte("a"), nil) })
	must(t, err)
	for deadline := time.Now().Add(10 * time.Second); e.last.Load().external() != v; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it was not applied")
		}
	}
}

// TestGroupWatch: a watcher hears of transactions, waited for or not.
func TestGroupWatch(t *testing.T) {
	e, err := Open(vfs.NewMem(), "store", Options{Memory: MinMemory})
	must(t, err)
	defer e.Close()
	key := []byte("watched")
	// From here on: without a version, a Watch that comes late would miss the first.
	seen, err := e.Update(t.Context(), nil, func(tx engine.Tx) error { return tx.Put(key, nil) })
	must(t, err)
	for n := range 300 {
		written := make(chan engine.Version, 1)
		go func() {
			v, err := e.Update(t.Context(), &engine.Op{NoWait: n%2 == 0}, func(tx engine.Tx) error { return tx.Put(key, []byte{byte(n)}) })
			if err != nil {
				t.Error(err)
			}
			written <- v
		}()
		v, err := e.Watch(t.Context(), seen, engine.KeyRange(key))
		must(t, err)
		if seen = <-written; v < seen {
			t.Fatalf("change %d: woken at %x, before %x", n, v, seen)
		}
	}
}

// TestGroupFlush: those who wait for the disk at the same time share flushes.
func TestGroupFlush(t *testing.T) {
	fs := vfs.NewMem()
	e, err := Open(fs, "store", Options{Memory: MinMemory})
	must(t, err)
	defer e.Close()
	const clients = 20
	keys := distinct(clients)
	// So that no client has the group applied to look where the next row is.
	_, err = e.Update(t.Context(), nil, func(tx engine.Tx) error {
		for _, key := range keys {
			must(t, tx.Put(key, nil))
		}
		return nil
	})
	must(t, err)
	gate := e.groups.flush
	gate <- struct{}{} // as if a flush were under way
	var wg sync.WaitGroup
	for _, key := range keys {
		wg.Go(func() {
			_, err := e.Update(t.Context(), nil, func(tx engine.Tx) error { return tx.Put(key, nil) })
			if err != nil {
				t.Error(err)
			}
		})
	}
	joined := func() int {
		e.groups.mu.Lock()
		defer e.groups.mu.Unlock()
		if e.groups.open == nil {
			return 0
		}
		return e.groups.open.commits
	}
	for joined() < clients {
		time.Sleep(time.Millisecond)
	}
	e.commit.Lock() // who was counted last has joined the group, too
	before := e.Metrics().Syncs
	e.commit.Unlock()
	<-gate
	wg.Wait()
	if n := e.Metrics().Syncs - before; n != 1 {
		t.Errorf("%d flushes for all of them", n)
	}
}

// distinct returns n keys of which none seems to be in a group with the others: one that
// does has the group applied, which then is not the group of all of them.
func distinct(n int) [][]byte {
	var f keyFilter
	var keys [][]byte
	for i := uint64(0); len(keys) < n; i++ {
		key := binary.BigEndian.AppendUint64(nil, i)
		if !f.mayHave(hash(key)) {
			f.add(hash(key))
			keys = append(keys, key)
		}
	}
	return keys
}
