package embedded

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// TestMetrics does what each figure counts, and looks at that one before and after.
func TestMetrics(t *testing.T) {
	var ahead atomic.Int64
	e, err := Open(vfs.NewMem(), "store", Options{
		Memory: MinMemory, Retention: engine.MinRetention, NoBackground: true,
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	must(t, err)
	defer func() { must(t, e.Close()) }()
	const rows = 2000
	write := func(op *engine.Op) engine.Version {
		v, err := e.Update(ctx, op, func(tx engine.Tx) error {
			for i := range rows {
				if err := tx.Put(fmt.Appendf(nil, "key %05d", i), make([]byte, 100)); err != nil {
					return err
				}
			}
			return nil
		})
		must(t, err)
		return v
	}
	read := func() {
		must(t, e.View(ctx, "", func(r engine.Reader) error {
			for i := range rows {
				if _, found, err := r.Get(fmt.Appendf(nil, "key %05d", i)); err != nil || !found {
					return fmt.Errorf("row %d: %v, %v", i, found, err)
				}
			}
			return nil
		}))
	}
	sum := func(list []int64) (n int64) {
		for _, x := range list {
			n += x
		}
		return n
	}
	first := write(nil)
	for _, c := range []struct {
		name string
		is   func(m *engine.Metrics) int64 // grows by that
		do   func()
	}{
		{"commits", func(m *engine.Metrics) int64 { return m.Commits }, func() { write(nil) }},
		{"keys written", func(m *engine.Metrics) int64 { return m.KeysWritten / rows }, func() { write(nil) }},
		{"superseded versions", func(m *engine.Metrics) int64 { return m.Superseded / rows }, func() { write(nil) }},
		{"flushes", func(m *engine.Metrics) int64 { return m.Syncs }, func() { write(nil) }},
		{"time of flushes", func(m *engine.Metrics) int64 { return int64(m.SyncTime) }, func() { write(nil) }},
		{"bytes of the log", func(m *engine.Metrics) int64 { return m.LogBytes }, func() { write(nil) }},
		{"replays", func(m *engine.Metrics) int64 { return m.Replays }, func() { write(&engine.Op{ID: "x"}); write(&engine.Op{ID: "x"}) }},
		{"keys read", func(m *engine.Metrics) int64 { return m.KeysRead / rows }, read},
		{"compactions", func(m *engine.Metrics) int64 { return m.Compactions }, func() { write(nil); must(t, e.Compact(ctx)) }},
		{"bytes of the device", func(m *engine.Metrics) int64 { return m.DeviceBytes }, func() {
			_, err := e.Update(ctx, nil, func(tx engine.Tx) error { return tx.Put([]byte("large"), incompressible(1<<20)) })
			must(t, err)
			must(t, e.Compact(ctx))
		}},
		{"misses of the cache", func(m *engine.Metrics) int64 { return m.CacheMisses }, func() { must(t, e.Compact(ctx)); scanAll(t, e) }},
		{"hits of the cache", func(m *engine.Metrics) int64 { return m.CacheHits }, func() { scanAll(t, e); scanAll(t, e) }},
		{"restores", func(m *engine.Metrics) int64 { return m.Restores }, func() {
			_, err := e.Update(ctx, nil, func(tx engine.Tx) error { return tx.Restore(engine.All, first) })
			must(t, err)
		}},
		{"collected versions", func(m *engine.Metrics) int64 { return m.Collected.Versions }, func() {
			ahead.Store(int64(2 * engine.MinRetention))
			_, err := e.Collect(ctx)
			must(t, err)
		}},
	} {
		before := e.Metrics()
		c.do()
		after := e.Metrics()
		if a, b := c.is(&before), c.is(&after); b <= a {
			t.Errorf("%s: %d before, %d after", c.name, a, b)
		}
	}
	m := e.Metrics()
	if m.Restores != 0 || sum(m.LevelFiles) == 0 || len(m.LevelBytes) != len(m.LevelFiles) || sum(m.LevelBytes) < rows*10 {
		t.Errorf("after repair and collection: %+v", m)
	}

	must(t, e.View(ctx, "", func(engine.Reader) error {
		time.Sleep(2 * time.Millisecond)
		if age := e.Metrics().OldestReader; age < 2*time.Millisecond || age > time.Minute {
			t.Errorf("the oldest view has been under way for %v", age)
		}
		return nil
	}))
	if age := e.Metrics().OldestReader; age != 0 {
		t.Errorf("without a view the oldest has been under way for %v", age)
	}
	since := e.last.Load().external()
	woken := make(chan error, 1)
	go func() {
		_, err := e.Watch(ctx, since, engine.All)
		woken <- err
	}()
	for e.Metrics().Watchers == 0 {
		time.Sleep(time.Millisecond)
	}
	before := e.Metrics().Wakeups
	write(nil)
	must(t, <-woken)
	if m := e.Metrics(); m.Wakeups != before+1 || m.Watchers != 0 {
		t.Errorf("a watcher was woken: %d before, %d after, %d still wait", before, m.Wakeups, m.Watchers)
	}
}

// scanAll reads all there is from blocks.
func scanAll(t *testing.T, e *Engine) {
	t.Helper()
	must(t, e.View(ctx, "", func(r engine.Reader) error {
		c := r.Scan(engine.All, engine.ScanOptions{})
		for c.Next() {
		}
		return errors.Join(c.Err(), c.Close())
	}))
}

// incompressible is so many bytes that take as much on a device.
func incompressible(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // never fails
	return b
}
