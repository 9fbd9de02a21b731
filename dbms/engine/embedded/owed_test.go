package embedded

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// slowLog has each flush of a log wait while it is shut.
type slowLog struct {
	shut    atomic.Bool
	came    chan struct{} // a flush has come
	opening chan struct{} // closed when it may go on
}

func (s *slowLog) String() string { return "slow log" }

func (s *slowLog) MaybeError(op errorfs.Op) error {
	if s.shut.Load() && strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
		s.came <- struct{}{}
		<-s.opening
	}
	return nil
}

// TestOwed: what nobody waits for is owed until it is durable, and so is what others
// see while it is waited for; what is Untold, or durable, is not.
func TestOwed(t *testing.T) {
	log := &slowLog{came: make(chan struct{}, 100), opening: make(chan struct{})}
	e, err := Open(errorfs.Wrap(vfs.NewMem(), log), "store", Options{Memory: MinMemory, NoBackground: true})
	must(t, err)
	defer e.Close()
	owed := func(what string, want engine.Version) {
		t.Helper()
		if v := e.Owed(); v != want {
			t.Errorf("%s: %x is owed, want %x", what, v, want)
		}
	}
	put := func(op *engine.Op, key string) engine.Version {
		t.Helper()
		v, err := e.Update(t.Context(), op, func(tx engine.Tx) error { return tx.Put([]byte(key), nil) })
		must(t, err)
		return v
	}
	look := func(at engine.Version) {
		t.Helper()
		must(t, e.View(t.Context(), at, func(engine.Reader) error { return nil }))
	}

	owed("an empty store", "")
	put(&engine.Op{NoWait: true, Untold: true}, "note")
	look("")
	owed("after a note", "")
	first := put(&engine.Op{NoWait: true}, "a")
	owed("after a transaction that did not wait", first)
	put(&engine.Op{NoWait: true, Untold: true}, "note")
	owed("after a note besides", first)
	must(t, e.Sync(t.Context(), first))
	owed("after Sync", "")
	put(nil, "b")
	look("")
	owed("after a transaction that did wait", "")
	last := put(&engine.Op{NoWait: true, ID: "once"}, "c")
	put(nil, "d")
	owed("after a later one that did wait", "")

	log.shut.Store(true)
	done := make(chan engine.Version)
	go func() { done <- put(&engine.Op{ID: "slow"}, "e") }()
	<-log.came
	owed("while it is waited for", "")
	look(last)
	owed("while what went before it is looked at", "")
	seen, there, err := e.Resolve(t.Context(), "slow")
	must(t, err)
	if !there {
		t.Fatal("a transaction that waits for the disk is not there")
	}
	owed("after it was asked for", seen)
	e.owed.owing.Store(0)
	look("")
	owed("after it was seen", seen)
	e.owed.owing.Store(0)
	if v := put(&engine.Op{ID: "slow", NoWait: true}, "e"); v != seen {
		t.Errorf("done again: %x, was %x", v, seen)
	}
	owed("after it was said to be done", seen)
	e.owed.owing.Store(0)
	refused := func(engine.Tx) error { return engine.ErrFull }
	if _, err := e.Update(t.Context(), nil, refused); err != engine.ErrFull {
		t.Fatal(err)
	}
	owed("after it made a transaction be refused", seen)
	e.owed.owing.Store(0)
	if _, err := e.Update(t.Context(), &engine.Op{NoWait: true}, func(engine.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	owed("after a transaction that only looked", seen)
	log.shut.Store(false)
	close(log.opening)
	if v := <-done; v != seen {
		t.Errorf("its version is %x", v)
	}
	owed("when it is durable", "")
}
