package embedded

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// TestPace has others commit, or not, and asks for how long work rests.
func TestPace(t *testing.T) {
	var commits atomic.Int64
	p := pace{share: hurriedShare, others: &commits}
	for i, others := range []int64{0, 1, 0, 5, 5, 0} {
		commits.Add(others)
		want := hurriedShare
		if others > 0 {
			want = restShare
		}
		if got := p.shareNow(); got != want {
			t.Errorf("step %d: it rests %d times as long as it works; want %d", i, got, want)
		}
	}
}

// TestCollectIsNobodyElse sees that what a collection does itself is not taken for
// the commits of others: it would rest for nothing.
func TestCollectIsNobodyElse(t *testing.T) {
	var ahead atomic.Int64
	e, err := Open(vfs.NewMem(), "db", Options{
		NoBackground: true, Retention: engine.MinRetention,
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	must(t, err)
	for i := range 3 * collectBatch {
		_, err := e.Update(ctx, nil, func(tx engine.Tx) error { return tx.Put([]byte("k"), fmt.Append(nil, i)) })
		must(t, err)
	}
	ahead.Store(int64(2 * engine.MinRetention))
	before := e.counters.commits.Load()
	done, err := e.Collect(ctx)
	must(t, err)
	if done.Versions < 2*collectBatch {
		t.Errorf("%d versions were collected", done.Versions)
	}
	if n := e.counters.commits.Load() - before; n != 0 {
		t.Errorf("the collection counts as %d commits", n)
	}
	must(t, e.Close())
}

// TestCollectInBackground: what gets older than its retention goes by itself, without
// anybody who asks for it, and without a transaction that would give the occasion.
func TestCollectInBackground(t *testing.T) {
	var ahead atomic.Int64
	e, err := Open(vfs.NewMem(), "db", Options{
		Retention: engine.MinRetention, CollectEvery: time.Millisecond,
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	must(t, err)
	var first engine.Version
	for i := range 100 {
		v, err := e.Update(ctx, nil, func(tx engine.Tx) error { return tx.Put([]byte("k"), fmt.Append(nil, i)) })
		must(t, err)
		if first == "" {
			first = v
		}
	}
	versions := func(at engine.Version) (n int, err error) {
		err = e.View(ctx, at, func(r engine.Reader) error {
			for _, err := range r.History([]byte("k")) {
				if err != nil {
					return err
				}
				n++
			}
			return nil
		})
		return n, err
	}
	if n, err := versions(""); n != 100 || err != nil {
		t.Fatalf("%d versions within their retention, %v", n, err)
	}
	ahead.Store(int64(2 * engine.MinRetention))
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if n, err := versions(""); err != nil || n == 1 {
			must(t, err)
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%d versions are left", n)
		}
	}
	if n, err := versions(first); !errors.Is(err, engine.ErrTooOld) {
		t.Errorf("the first version after its retention: %d, %v", n, err)
	}
	must(t, e.Close())
}
