package enginetest

import (
	"errors"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

// withClock opens a store, if the suite can move its clock.
func (s Suite) withClock(t *testing.T) *store {
	t.Helper()
	if s.Clock == nil {
		t.Skip("the clock of this engine cannot be moved")
	}
	return s.open(t)
}

func (s *store) retain(r engine.Range, keep time.Duration) {
	s.t.Helper()
	if err := s.Retain(s.ctx, &engine.Op{Name: "retain"}, r, keep); err != nil {
		s.t.Fatalf("Retain: %v", err)
	}
}

func (s *store) collect() engine.Collected {
	s.t.Helper()
	done, err := s.Collect(s.ctx)
	if err != nil {
		s.t.Fatalf("Collect: %v", err)
	}
	return done
}

// tooOld expects that key cannot be read at v any more.
func (s *store) tooOld(v engine.Version, key string) {
	s.t.Helper()
	err := s.View(s.ctx, v, func(r engine.Reader) error {
		_, _, err := r.Get([]byte(key))
		return err
	})
	wantError(s.t, "Get of "+key+" at a version beyond retention", err, engine.ErrTooOld)
	err = s.View(s.ctx, v, func(r engine.Reader) error {
		_, err := scan(r, engine.KeyRange([]byte(key)), false)
		return err
	})
	wantError(s.t, "Scan at a version beyond retention", err, engine.ErrTooOld)
	err = s.View(s.ctx, v, func(r engine.Reader) error {
		return r.GetBatch([][]byte{[]byte(key)}, func(int, []byte) error { return nil })
	})
	wantError(s.t, "GetBatch at a version beyond retention", err, engine.ErrTooOld)
}

func (s Suite) testRetention(t *testing.T) {
	st := s.withClock(t)
	start := st.newest()
	v1 := st.set("a", "1", "b", "1")
	st.set("a", "2", "b", "-", "c", "2")
	st.retain(engine.All, 10*time.Minute)
	s.Clock.Advance(time.Hour)
	v3 := st.set("a", "3")
	s.Clock.Advance(5 * time.Minute)
	v4 := st.set("a", "4")
	done := st.collect()
	if done.Versions < 2 {
		t.Errorf("%d versions are collected of 2 beyond retention", done.Versions)
	}
	if got := st.Metrics().Collected.Versions; got < done.Versions {
		t.Errorf("the metrics count %d collected versions of %d", got, done.Versions)
	}
	st.tooOld(v1, "a")
	st.tooOld(v1, "b")
	st.expect(v3, "a=3 c=2")
	st.expect(v4, "a=4 c=2")
	st.expect("", "a=4 c=2")
	// What was the state when retention begins, 10 minutes ago, can be read.
	v, err := st.At(st.ctx, s.Clock.Now().Add(-9*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	st.expect(v, "a=2 c=2")
	h, err := st.Horizon(st.ctx, engine.All)
	if err != nil || h <= v1 || h > v3 {
		t.Errorf("the horizon is %x, want it between %x and %x; %v", h, v1, v3, err)
	}
	st.expect(h, "a=2 c=2")
	st.expectTooOld(v1)
	st.recordsKept(start, v4)
	if again := st.collect(); again.Versions != 0 {
		t.Errorf("%d versions are collected a second time", again.Versions)
	}
	if err := st.Retain(st.ctx, plain, engine.All, engine.MinRetention-1); err == nil {
		t.Error("a retention below the minimum is accepted")
	}
}

// expectTooOld tries all else that needs an old version.
func (s *store) expectTooOld(v engine.Version) {
	s.t.Helper()
	_, err := s.Update(s.ctx, plain, func(tx engine.Tx) error { return tx.Restore(engine.All, v) })
	wantError(s.t, "Restore to beyond retention", err, engine.ErrTooOld)
	s.view("", func(r engine.Reader) error {
		var err error
		for _, e := range r.Changes(engine.All, v) {
			err = errors.Join(err, e)
		}
		wantError(s.t, "Changes since beyond retention", err, engine.ErrTooOld)
		for _, e := range r.Changes(engine.All, "") {
			if e != nil {
				s.t.Errorf("all changes that are kept: %v", e)
			}
		}
		return nil
	})
	err = s.View(s.ctx, "", func(r engine.Reader) error {
		past, err := r.At(v)
		if err != nil {
			return err
		}
		_, _, err = past.Get([]byte("a"))
		return err
	})
	wantError(s.t, "a Reader's At beyond retention", err, engine.ErrTooOld)
}

// recordsKept expects the provenance of v, and no older ones out of order.
func (s *store) recordsKept(from, v engine.Version) {
	s.t.Helper()
	s.view("", func(r engine.Reader) error {
		found, last := false, engine.Version("")
		for c, err := range r.Commits("", false) {
			if err != nil {
				return err
			}
			if c.Version <= last {
				s.t.Errorf("transaction %x follows %x", c.Version, last)
			}
			last = c.Version
			found = found || c.Version == v
		}
		if !found {
			s.t.Errorf("the provenance of %x, within retention, is gone", v)
		}
		return nil
	})
}

func (s Suite) testRetentionOfRanges(t *testing.T) {
	st := s.withClock(t)
	st.retain(rangeOf("b", "c"), 24*time.Hour)
	st.retain(rangeOf("a", "b"), 2*time.Hour)
	st.retain(rangeOf("a", "aa"), time.Minute) // later calls win
	v1 := st.set("a", "1", "ab", "1", "b", "1")
	st.set("a", "2", "ab", "2", "b", "2")
	s.Clock.Advance(time.Hour)
	st.collect()
	st.tooOld(v1, "a")
	if got := st.get(v1, "ab"); got != "1" {
		t.Errorf("a key within retention reads %s", got)
	}
	s.Clock.Advance(2 * time.Hour)
	st.set("a", "3", "ab", "3", "b", "3")
	s.Clock.Advance(2 * time.Hour)
	st.collect()
	st.tooOld(v1, "ab")
	if got := st.get(v1, "b"); got != "1" {
		t.Errorf("a key that is kept for a day reads %s after hours", got)
	}
	h, err := st.Horizon(st.ctx, rangeOf("b", "c"))
	if err != nil || h > v1 {
		t.Errorf("the horizon of what is kept is %x, %v; want at most %x", h, err, v1)
	}
	if h, err := st.Horizon(st.ctx, rangeOf("ab", "c")); err != nil || h <= v1 {
		t.Errorf("the horizon of two ranges is %x, %v; want that of the younger", h, err)
	}
	st.expect("", "a=3 ab=3 b=3")
}

// testRetentionOfRestores: what a restore shows stays, whatever its age.
func (s Suite) testRetentionOfRestores(t *testing.T) {
	st := s.withClock(t)
	st.retain(engine.All, 90*time.Minute)
	v1 := st.set("a", "1", "b", "1", "c", "1")
	s.Clock.Advance(time.Hour)
	v2 := st.set("a", "2", "b", "-", "d", "2")
	v3 := st.restore(engine.All, v1)
	st.set("c", "-")
	for range 3 {
		s.Clock.Advance(time.Hour)
		st.collect()
		st.expect("", "a=1 b=1")
		st.check()
	}
	st.tooOld(v1, "a")
	st.tooOld(v2, "a")
	now := st.set("a", "5", "b", "-")
	st.expect("", "a=5")
	err := st.View(st.ctx, v3, func(r engine.Reader) error { _, err := scan(r, engine.All, false); return err })
	wantError(t, "View of a version beyond retention", err, engine.ErrTooOld)
	st.set("e", "6")
	st.restore(engine.All, now)
	st.expect("", "a=5")
}

// testClockSetBack: order does not depend on the wall clock.
func (s Suite) testClockSetBack(t *testing.T) {
	st := s.withClock(t)
	v1 := st.set("a", "1")
	s.Clock.Advance(-time.Hour)
	defer s.Clock.Advance(time.Hour)
	v2 := st.set("a", "2")
	v3 := st.set("a", "3")
	if v2 <= v1 || v3 <= v2 {
		t.Errorf("versions %x, %x, %x after the clock was set back", v1, v2, v3)
	}
	st.expect(v1, "a=1")
	st.expect(v2, "a=2")
	st.expect("", "a=3")
	if st.newest() != v3 {
		t.Errorf("the newest version is %x, want %x", st.newest(), v3)
	}
	st.collect()
	st.expect(v1, "a=1")
}
