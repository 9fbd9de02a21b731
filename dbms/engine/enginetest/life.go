package enginetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

func testSync(t *testing.T, s *store) {
	if err := s.Sync(s.ctx, ""); err != nil {
		t.Errorf("Sync of an empty store: %v", err)
	}
	for i := range 20 {
		v, err := s.Update(s.ctx, &engine.Op{NoWait: true}, func(tx engine.Tx) error { return write(tx, "a", fmt.Sprint(i)) })
		if err != nil {
			t.Fatal(err)
		}
		if got := s.get("", "a"); got != fmt.Sprint(i) {
			t.Errorf("what has taken effect reads %s", got)
		}
		to := v
		if i%2 == 0 {
			to = ""
		}
		if err := s.Sync(s.ctx, to); err != nil {
			t.Errorf("Sync: %v", err)
		}
	}
}

// testOwed: what is owed is at most what was done, and nothing after Sync.
func testOwed(t *testing.T, s *store) {
	settle := func(newest engine.Version) {
		t.Helper()
		v := s.Owed()
		if v > newest {
			t.Errorf("%x is owed, later than the newest, %x", v, newest)
		}
		if v != "" {
			if err := s.Sync(s.ctx, v); err != nil {
				t.Errorf("Sync of what is owed: %v", err)
			}
		}
		if v := s.Owed(); v != "" {
			t.Errorf("%x is owed after Sync", v)
		}
	}
	if v := s.Owed(); v != "" {
		t.Errorf("an empty store owes %x", v)
	}
	for i := range 10 {
		newest := s.set("a", fmt.Sprint(i))
		if v := s.Owed(); v != "" {
			t.Errorf("%x is owed after a transaction that has waited", v)
		}
		s.get("", "a")
		settle(newest)
		newest, err := s.Update(s.ctx, &engine.Op{NoWait: true, Untold: i%3 == 0}, func(tx engine.Tx) error { return write(tx, "a", fmt.Sprint(i)) })
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			s.get("", "a")
		}
		settle(newest)
	}
}

func testCheck(t *testing.T, s *store) {
	v := s.set("a", "1", "b", "1")
	s.set("a", "2", "b", "-")
	s.restore(engine.All, v)
	s.set("b", "-", "c", "3")
	s.check()
	s.expect("", "a=1 c=3")
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	if err := s.Check(ctx, func(engine.Problem) {}); err != nil {
		wantError(t, "Check when it is cancelled", err, context.Canceled)
	}
}

func testMetrics(t *testing.T, s *store) {
	before := s.Metrics()
	s.set("a", "1", "b", "2")
	s.get("", "a")
	op := &engine.Op{ID: "m"}
	for range 2 {
		if _, err := s.Update(s.ctx, op, func(tx engine.Tx) error { return write(tx, "c", "1") }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Update(s.ctx, plain, func(engine.Tx) error { return engine.ErrConflict }); !errors.Is(err, engine.ErrConflict) {
		t.Errorf("a transaction that finds a conflict: %v", err)
	}
	now := s.Metrics()
	if n := now.Conflicts - before.Conflicts; n < 1 {
		t.Errorf("%d conflicts, want one", n)
	}
	if now.Commits-before.Commits != 2 || now.Replays-before.Replays != 1 {
		t.Errorf("%d commits and %d replays, want 2 and 1", now.Commits-before.Commits, now.Replays-before.Replays)
	}
	if now.KeysWritten-before.KeysWritten != 3 || now.KeysRead <= before.KeysRead {
		t.Errorf("%d keys written, want 3; %d read", now.KeysWritten-before.KeysWritten, now.KeysRead-before.KeysRead)
	}
}

func testClose(t *testing.T, s *store) {
	v := s.set("a", "1")
	s.close()
	_, err := s.Update(s.ctx, plain, func(tx engine.Tx) error { return write(tx, "a", "2") })
	wantError(t, "Update after Close", err, engine.ErrClosed)
	wantError(t, "View after Close", s.View(s.ctx, "", func(engine.Reader) error { return nil }), engine.ErrClosed)
	_, err = s.Watch(s.ctx, v, engine.All)
	wantError(t, "Watch after Close", err, engine.ErrClosed)
	wantError(t, "Sync after Close", s.Sync(s.ctx, ""), engine.ErrClosed)
	_, _, err = s.Resolve(s.ctx, "x")
	wantError(t, "Resolve after Close", err, engine.ErrClosed)
	_, err = s.At(s.ctx, time.Now())
	wantError(t, "At after Close", err, engine.ErrClosed)
	_, err = s.Horizon(s.ctx, engine.All)
	wantError(t, "Horizon after Close", err, engine.ErrClosed)
	wantError(t, "Retain after Close", s.Retain(s.ctx, plain, engine.All, time.Hour), engine.ErrClosed)
	_, err = s.Collect(s.ctx)
	wantError(t, "Collect after Close", err, engine.ErrClosed)
	wantError(t, "Check after Close", s.Check(s.ctx, func(engine.Problem) {}), engine.ErrClosed)
	s.Metrics()
	if err := s.Close(); err != nil {
		wantError(t, "Close twice", err, engine.ErrClosed)
	}
}

func testCloseEndsWatch(t *testing.T, s *store) {
	at := s.set("a", "1")
	done := make(chan error, 1)
	go func() {
		for {
			if _, err := s.Watch(s.ctx, at, rangeOf("q", "r")); err != nil {
				done <- err
				return
			}
		}
	}()
	s.waiting(1)
	s.close()
	wantError(t, "Watch when the engine is closed", <-done, engine.ErrClosed)
}

// testReopen: all that was promised holds of the store after it was opened anew.
func (s Suite) testReopen(t *testing.T) {
	if s.Reopen == nil {
		t.Skip("this engine cannot be opened again")
	}
	st := s.open(t)
	names := map[engine.Version]string{}
	v1 := st.set("a", "1", "b", "1")
	v2, err := st.Update(st.ctx, &engine.Op{ID: "once", User: "u", NoWait: true}, func(tx engine.Tx) error {
		return write(tx, "a", "2", "b", "-", "c", "2")
	})
	if err != nil {
		t.Fatal(err)
	}
	v3 := st.restore(rangeOf("a", "b"), v1)
	names[v1], names[v2], names[v3] = "v1", "v2", "r3"
	last := v3
	var before []engine.Commit
	st.view("", func(r engine.Reader) error { before = st.commits(r, "", false); return nil })
	for range 3 {
		st.close()
		st.Engine, st.closed = s.Reopen(t, st.Engine), false
		st.check()
		if now := st.newest(); now < last {
			t.Errorf("the newest version is %x, after %x was committed", now, last)
		}
		st.expect(v1, "a=1 b=1")
		st.expect(v2, "a=2 c=2")
		st.expect(v3, "a=1 c=2")
		st.expect("", "a=1 c=2")
		st.view(v3, func(r engine.Reader) error {
			expectSameCommits(t, "after reopening", st.commits(r, "", false), before)
			got, err := changes(r, engine.All, "", names)
			if want := "v1.. a=1, v1.. b=1, v2.. a=2, v2.. b=-, v2.. c=2, r3 [a,b) to v1"; got != want {
				t.Errorf("changes after reopening: %s; want %s", got, want)
			}
			return err
		})
		v, err := st.Update(st.ctx, &engine.Op{ID: "once"}, func(engine.Tx) error { return errors.New("runs again") })
		if v != v2 || err != nil {
			t.Errorf("an operation from before: %x, %v; want %x", v, err, v2)
		}
		if v := st.set("x", "1"); v <= last {
			t.Errorf("version %x follows %x", v, last)
		}
		last = st.set("x", "-")
	}
	st.restore(engine.All, v2)
	st.expect("", "a=2 c=2")
	st.check()
	st.close()
}
