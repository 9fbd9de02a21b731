package enginetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

func testRestore(t *testing.T, s *store) {
	v1 := s.set("a", "1", "b", "1", "d", "1", "e", "1")
	v2 := s.set("a", "2", "b", "-", "c", "2", "e", "2")
	v3 := s.restore(rangeOf("b", "e"), v1)
	s.expect(v1, "a=1 b=1 d=1 e=1")
	s.expect(v2, "a=2 c=2 d=1 e=2")
	s.expect(v3, "a=2 b=1 d=1 e=2")
	s.expect("", "a=2 b=1 d=1 e=2")
	v4 := s.restore(engine.All, v1)
	s.expect(v4, "a=1 b=1 d=1 e=1")
	s.expect(v3, "a=2 b=1 d=1 e=2")
}

func testRestoreHistory(t *testing.T, s *store) {
	names := map[engine.Version]string{}
	name := func(v engine.Version, n string) engine.Version { names[v] = n; return v }
	v1 := name(s.set("a", "1"), "v1")
	v2 := name(s.set("a", "2", "b", "2"), "v2")
	name(s.set("a", "3"), "v3")
	r4 := name(s.restore(engine.All, v1), "r4")
	name(s.set("b", "5"), "v5")
	for _, try := range []struct {
		at        engine.Version
		key, want string
	}{
		{"", "a", "v3..r4 a=3 hidden, v2..v3 a=2 hidden, v1..v2 a=1"},
		{r4, "a", "v3..r4 a=3 hidden, v2..v3 a=2 hidden, v1..v2 a=1"},
		{v2, "a", "v2.. a=2, v1..v2 a=1"},
		{"", "b", "v5.. b=5, v2..r4 b=2 hidden"},
	} {
		s.view(try.at, func(r engine.Reader) error {
			got, err := history(r, try.key, names)
			if got != try.want {
				t.Errorf("history of %s at %s: %s; want %s", try.key, names[try.at], got, try.want)
			}
			return err
		})
	}
	s.expect("", "a=1 b=5")
}

// testRestoreNested: restores within, across and around one another.
func testRestoreNested(t *testing.T, s *store) {
	letters := strings.Split("abcdefgh", "")
	state := func(value string) (pairs []string) {
		for _, l := range letters {
			pairs = append(pairs, l, value)
		}
		return pairs
	}
	v1 := s.set(state("1")...)
	v2 := s.set(state("2")...)
	s.set(state("3")...)
	r1 := s.restore(rangeOf("b", "g"), v1)
	s.expect("", "a=3 b=1 c=1 d=1 e=1 f=1 g=3 h=3")
	r2 := s.restore(rangeOf("c", "e"), v2) // within
	s.expect("", "a=3 b=1 c=2 d=2 e=1 f=1 g=3 h=3")
	r3 := s.restore(rangeOf("d", "h"), r1) // across, to a version in which r1 shows v1
	s.expect("", "a=3 b=1 c=2 d=1 e=1 f=1 g=3 h=3")
	s.set("d", "4", "e", "-", "ee", "4")
	r4 := s.restore(rangeOf("a", "f"), r2) // around
	s.expect("", "a=3 b=1 c=2 d=2 e=1 f=1 g=3 h=3")
	s.restore(engine.All, r3)
	s.expect("", "a=3 b=1 c=2 d=1 e=1 f=1 g=3 h=3")
	// Two ranges in one transaction, which also writes.
	s.update(func(tx engine.Tx) error {
		return errors.Join(tx.Restore(rangeOf("a", "c"), v2), tx.Restore(rangeOf("e", ""), v1), write(tx, "d", "6"))
	})
	s.expect("", "a=2 b=2 c=2 d=6 e=1 f=1 g=1 h=1")
	s.expect(r4, "a=3 b=1 c=2 d=2 e=1 f=1 g=3 h=3")
	s.expect(r1, "a=3 b=1 c=1 d=1 e=1 f=1 g=3 h=3")
}

// testRestoreUndone: a restore is undone by another, again and again.
func testRestoreUndone(t *testing.T, s *store) {
	v1 := s.set("a", "1", "b", "1")
	v2 := s.set("a", "2", "b", "-", "c", "2")
	for i := range 4 {
		s.restore(engine.All, v1)
		s.expect("", "a=1 b=1")
		s.restore(engine.All, v1) // twice is once
		s.expect("", "a=1 b=1")
		before := s.newest()
		s.restore(engine.All, v2)
		s.expect("", "a=2 c=2")
		s.restore(engine.All, before) // a version in which restores were in effect
		s.expect("", "a=1 b=1")
		s.set("x", fmt.Sprint(i))
		s.restore(engine.All, v2)
		s.expect("", "a=2 c=2")
	}
	now := s.newest()
	s.restore(engine.All, now) // to the present: no change
	s.expect("", "a=2 c=2")
}

func testRestoreDeleted(t *testing.T, s *store) {
	v1 := s.set("a", "1", "b", "1", "c", "1")
	v2 := s.update(deleteAll)
	s.expect(v2, "")
	v3 := s.restore(rangeOf("a", "c"), v1)
	s.expect(v3, "a=1 b=1")
	v4 := s.restore(engine.All, v2) // back to nothing
	s.expect(v4, "")
	s.restore(engine.All, v3)
	s.expect("", "a=1 b=1")
	s.expect(v4, "")
	s.expect(v1, "a=1 b=1 c=1")
}

// testRestoreThenWrite: what is restored is changed and deleted like anything.
func testRestoreThenWrite(t *testing.T, s *store) {
	v1 := s.set("a", "1", "b", "1", "c", "1")
	v2 := s.set("a", "-", "b", "-", "c", "2", "d", "2")
	v3 := s.restore(engine.All, v1)
	v4 := s.set("a", "-", "c", "-")
	s.expect("", "b=1")
	v5 := s.set("a", "5", "b", "-", "d", "-")
	s.expect("", "a=5")
	s.expect(v4, "b=1")
	s.expect(v3, "a=1 b=1 c=1")
	s.expect(v2, "c=2 d=2")
	s.restore(engine.All, v4)
	s.expect("", "b=1")
	s.set("b", "-", "c", "7")
	s.expect("", "c=7")
	s.restore(rangeOf("a", "b"), v5)
	s.expect("", "a=5 c=7")
	s.expect(v1, "a=1 b=1 c=1")
}

// testRestoreEmpty: to the time before the first transaction.
func testRestoreEmpty(t *testing.T, s *store) {
	empty := s.newest()
	v1 := s.set("a", "1", "b", "1", "c", "1")
	s.restore(rangeOf("a", "b"), empty)
	s.expect("", "b=1 c=1")
	v2 := s.restore(rangeOf("b", ""), "")
	s.expect("", "")
	s.set("b", "2")
	s.expect("", "b=2")
	s.restore(engine.All, v1)
	s.expect("", "a=1 b=1 c=1")
	s.expect(v2, "")
}

func testRestoreRefused(t *testing.T, s *store) {
	s.set("a", "1")
	mine := errors.New("mine")
	v := s.set("a", "2")
	_, err := s.Update(s.ctx, plain, func(tx engine.Tx) error {
		if err := tx.Restore(engine.All, ""); err != nil {
			return err
		}
		return mine
	})
	wantError(t, "an Update that restores and fails", err, mine)
	s.expect("", "a=2")
	op := &engine.Op{ID: "restore once"}
	for range 2 {
		if _, err := s.Update(s.ctx, op, func(tx engine.Tx) error { return tx.Restore(engine.All, v) }); err != nil {
			t.Fatal(err)
		}
		s.expect("", "a=2")
		s.set("a", "2")
	}
}

// testRestoreLarge: a restore takes no longer for many keys. The bound is far
// from what any engine needs; on a machine so slow or busy that it would not be, it
// is what rewriting half of the keys takes there.
func testRestoreLarge(t *testing.T, s *store) {
	const n = 20_000
	fill := func(value string) engine.Version {
		return s.update(func(tx engine.Tx) error {
			for i := range n {
				if err := tx.Put(fmt.Appendf(nil, "%08d", i), []byte(value)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	v1 := fill("1")
	begun := time.Now()
	fill("2")
	rewriting := time.Since(begun)
	best := time.Hour
	for range 3 {
		start := time.Now()
		s.restore(engine.All, v1)
		best = min(best, time.Since(start))
	}
	if best > max(time.Second/4, rewriting/2) {
		t.Errorf("a restore of %d keys takes %v, writing them %v", n, best, rewriting)
	}
	for _, i := range []int{0, 1, n / 2, n - 1} {
		if got := s.get("", fmt.Sprintf("%08d", i)); got != "1" {
			t.Errorf("key %d is %s", i, got)
		}
	}
	count := 0
	s.view("", func(r engine.Reader) error {
		c := r.Scan(engine.All, engine.ScanOptions{})
		for c.Next() {
			if string(c.Value()) == "1" {
				count++
			}
		}
		return errors.Join(c.Err(), c.Close())
	})
	if count != n {
		t.Errorf("%d of %d keys are restored", count, n)
	}
}
