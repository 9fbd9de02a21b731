package embedded

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

func openCalm(t *testing.T, fs vfs.FS, after time.Duration) *Engine {
	t.Helper()
	e, err := Open(fs, "store", Options{Memory: MinMemory, FlushAfter: after, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func putRow(t *testing.T, e *Engine, key string) {
	t.Helper()
	put := func(tx engine.Tx) error { return tx.Put([]byte(key), []byte("value of "+key)) }
	if _, err := e.Update(t.Context(), &engine.Op{}, put); err != nil {
		t.Error(err)
	}
}

// flushed is how many tables were made of what was in memory. Opening counts a flush
// also where there is nothing to flush.
func flushed(e *Engine) int64 { return int64(e.db.Metrics().Levels[0].TablesFlushed) }

// awaitCalm returns when all that was written is in tables.
func awaitCalm(t *testing.T, e *Engine) {
	t.Helper()
	for {
		resting := !e.calm.armed.Load() // what was written is on its way into tables
		if m := e.db.Metrics(); resting && m.Levels[0].TablesFlushed > 0 && m.MemTable.Count == 1 {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the store has not come to rest")
		case <-time.After(time.Millisecond):
		}
	}
}

// After a crash, a store that had come to rest has nothing to make a table of when it
// is opened; one that had not has, and both have all rows.
func TestCalm(t *testing.T) {
	for _, rests := range []bool{false, true} {
		fs := vfs.NewCrashableMem()
		after := time.Duration(0)
		if rests {
			after = time.Millisecond
		}
		e := openCalm(t, fs, after)
		for i := range 10 {
			putRow(t, e, fmt.Sprint("key", i))
		}
		if rests {
			awaitCalm(t, e)
		} else if e.calm.timer != nil || flushed(e) != 0 {
			t.Error("a store makes tables without being asked to")
		}
		again := openCalm(t, fs.CrashClone(vfs.CrashCloneCfg{}), 0)
		if made := flushed(again) > 0; made == rests {
			t.Errorf("it had come to rest: %v, opening makes a table: %v", rests, made)
		}
		for i := range 10 {
			key := fmt.Sprint("key", i)
			err := again.View(t.Context(), "", func(r engine.Reader) error {
				v, _, err := r.Get([]byte(key))
				if string(v) != "value of "+key {
					t.Errorf("%s has %q", key, v)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
}

// The time between two tables grows, up to its bound, and the first comes at once.
func TestCalmWaits(t *testing.T) {
	opened := time.Now()
	at := opened.Add
	for _, c := range []struct{ last, now, want time.Duration }{
		{0, time.Second, -time.Second / 2},
		{2 * time.Second, 3 * time.Second, time.Second / 2},
		{2 * time.Second, 5 * time.Second, -time.Second / 2},
		{100 * time.Second, 110 * time.Second, 45 * time.Second},
		{10 * time.Hour, 10*time.Hour + time.Minute, calmAtMost - time.Minute},
		{10 * time.Hour, 11 * time.Hour, calmAtMost - time.Hour},
	} {
		k := calm{opened: opened, last: at(c.last)}
		if got := k.wait(at(c.now)); got != c.want {
			t.Errorf("after %v, at %v it waits for %v, not %v", c.last, c.now, got, c.want)
		}
	}
}

// A store that has failed, or has little room left, is let be.
func TestCalmRefrains(t *testing.T) {
	fs := &smallFS{FS: vfs.NewMem()}
	fs.free.Store(1 << 30)
	e := openCalm(t, fs, 0)
	putRow(t, e, "key")
	tried := func() bool {
		before := e.db.Metrics().Flush.Count
		e.flushCalm()
		m := e.db.Metrics()
		return m.MemTable.Count != 1 || m.Flush.Count != before
	}
	fs.free.Store(1 << 20)
	if tried() {
		t.Error("a table is made where there is little room")
	}
	fs.free.Store(1 << 30)
	e.fail(errFenced)
	if tried() {
		t.Error("a table is made by a store that has failed")
	}
}

// Tables are made while others write, and until the store is closed.
func TestCalmBesideWriters(t *testing.T) {
	e := openCalm(t, vfs.NewMem(), time.Microsecond)
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 50 {
				putRow(t, e, fmt.Sprint(w, " ", i))
			}
		})
	}
	writers.Wait()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
