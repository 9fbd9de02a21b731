package enginetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

// history lists the versions of a key as the reader tells them, without those
// that a restore made. Versions are numbered by names.
func history(r engine.Reader, key string, names map[engine.Version]string) (string, error) {
	var rows []string
	for row, err := range r.History([]byte(key)) {
		if err != nil {
			return "", err
		}
		if row.Until > r.Version() {
			row.Until = "" // not yet, as seen from the reader
		}
		if name := names[row.Version]; !strings.HasPrefix(name, "r") {
			rows = append(rows, describe(row, names))
		}
	}
	return strings.Join(rows, ", "), nil
}

// describe is a row as "v1..v2 key=value".
func describe(row engine.Row, names map[engine.Version]string) string {
	name := func(v engine.Version) string {
		if v == "" || names[v] != "" {
			return names[v]
		}
		return fmt.Sprintf("%x", v)
	}
	if row.Restore != nil {
		return fmt.Sprintf("%s [%s,%s) to %s", name(row.Version), row.Restore.Low, row.Restore.High, name(row.To))
	}
	text := fmt.Sprintf("%s..%s %s=%s", name(row.Version), name(row.Until), row.Key, row.Value)
	if row.Deleted {
		text += "-"
	}
	if row.Hidden {
		text += " hidden"
	}
	return text
}

func testHistory(t *testing.T, s *store) {
	names := map[engine.Version]string{}
	step := func(name string, pairs ...string) engine.Version {
		v := s.set(pairs...)
		names[v] = name
		return v
	}
	step("v0", "b", "other", "aa", "other", "a\x00", "other")
	v1 := step("v1", "a", "1")
	v2 := step("v2", "a", "2", "b", "2")
	step("v3", "a", "-")
	step("v4", "a", "-", "b", "3") // a is not there: no trace
	v5 := step("v5", "a", "5")
	step("v6", "c", "6")
	for _, try := range []struct {
		at        engine.Version
		key, want string
	}{
		{"", "a", "v5.. a=5, v3..v5 a=-, v2..v3 a=2, v1..v2 a=1"},
		{v5, "a", "v5.. a=5, v3..v5 a=-, v2..v3 a=2, v1..v2 a=1"},
		{v2, "a", "v2.. a=2, v1..v2 a=1"},
		{v1, "a", "v1.. a=1"},
		{v1, "b", "v0.. b=other"},
		{"", "b", "v4.. b=3, v2..v4 b=2, v0..v2 b=other"},
		{"", "none", ""},
	} {
		s.view(try.at, func(r engine.Reader) error {
			got, err := history(r, try.key, names)
			if got != try.want {
				t.Errorf("history of %s at %s: %s; want %s", try.key, names[try.at], got, try.want)
			}
			return err
		})
	}
	s.view("", func(r engine.Reader) error {
		for row := range r.History([]byte("a")) { // stopping early is fine
			if string(row.Value) != "5" {
				t.Errorf("the newest version is %q", row.Value)
			}
			break
		}
		return nil
	})
}

// changes lists what happened to a range.
func changes(r engine.Reader, rng engine.Range, from engine.Version, names map[engine.Version]string) (string, error) {
	var rows []string
	for row, err := range r.Changes(rng, from) {
		if err != nil {
			return "", err
		}
		row.Until, row.Hidden = "", false
		rows = append(rows, describe(row, names))
	}
	return strings.Join(rows, ", "), nil
}

func testChanges(t *testing.T, s *store) {
	names := map[engine.Version]string{}
	step := func(name string, fn func(engine.Tx) error) engine.Version {
		v := s.update(fn)
		names[v] = name
		return v
	}
	set := func(pairs ...string) func(engine.Tx) error {
		return func(tx engine.Tx) error { return write(tx, pairs...) }
	}
	v0 := s.newest()
	v1 := step("v1", set("b", "1", "a", "1", "x", "1"))
	v2 := step("v2", set("a", "2", "c", "2", "none", "-"))
	v3 := step("v3", func(tx engine.Tx) error {
		return errors.Join(tx.Restore(rangeOf("b", "d"), v1), write(tx, "a", "-", "x", "3"))
	})
	v4 := step("v4", set("b", "1"))
	for _, try := range []struct {
		at, from  engine.Version
		low, high string
		want      string
	}{
		{v4, v0, "", "", "v1.. a=1, v1.. b=1, v1.. x=1, v2.. a=2, v2.. c=2, v3 [b,d) to v1, v3.. a=-, v3.. x=3, v4.. b=1"},
		{"", "", "", "", "v1.. a=1, v1.. b=1, v1.. x=1, v2.. a=2, v2.. c=2, v3 [b,d) to v1, v3.. a=-, v3.. x=3, v4.. b=1"},
		{v4, v2, "", "", "v3 [b,d) to v1, v3.. a=-, v3.. x=3, v4.. b=1"},
		{v2, v0, "", "", "v1.. a=1, v1.. b=1, v1.. x=1, v2.. a=2, v2.. c=2"},
		{v4, v3, "", "", "v4.. b=1"},
		{v4, v4, "", "", ""},
		{v4, v1, "a", "b", "v2.. a=2, v3.. a=-"},
		{v4, v1, "c", "e", "v2.. c=2, v3 [b,d) to v1"},
		{v4, v1, "d", "e", ""},
	} {
		s.view(try.at, func(r engine.Reader) error {
			got, err := changes(r, rangeOf(try.low, try.high), try.from, names)
			if got != try.want {
				t.Errorf("changes of [%s,%s) in (%s,%s]:\n%s; want\n%s", try.low, try.high, names[try.from], names[try.at], got, try.want)
			}
			return err
		})
	}
}

func testCommits(t *testing.T, s *store) {
	start := s.newest()
	before := time.Now().Add(-time.Second)
	var want []engine.Commit
	for i := range 40 {
		op := engine.Op{
			User: fmt.Sprint("user", i%3), Program: "program", Task: fmt.Sprint("task", i), Name: "name", NoWait: i%4 == 0,
		}
		if i%2 == 0 {
			op.ID = fmt.Sprint("id", i)
		}
		v, err := s.Update(s.ctx, &op, func(tx engine.Tx) error {
			tx.Count(i, 1)
			tx.Count(1, i, []byte("not traced"))
			if i%5 == 0 {
				return nil
			}
			return write(tx, fmt.Sprint("k", i), "v")
		})
		if err != nil {
			t.Fatal(err)
		}
		op.NoWait = false
		want = append(want, engine.Commit{Version: v, Op: op, RowsRead: i + 1, RowsWritten: i + 1})
	}
	s.view("", func(r engine.Reader) error {
		all := s.commits(r, start, false)
		if len(all) != len(want) {
			t.Fatalf("%d transactions, want %d", len(all), len(want))
		}
		for i, c := range all {
			compareCommit(t, c, want[i])
			if c.Time.Before(before) || c.Time.After(time.Now().Add(time.Hour)) {
				t.Errorf("a transaction of now is of %v", c.Time)
			}
			before = c.Time
		}
		back := s.commits(r, start, true)
		slices.Reverse(back)
		expectSameCommits(t, "newest first", back, all)
		expectSameCommits(t, "from the beginning", s.commits(r, "", false), all)
		expectSameCommits(t, "from the middle", s.commits(r, all[9].Version, false), all[10:])
		for c, err := range r.Commits(start, true) {
			if err != nil || c.Version != all[len(all)-1].Version {
				t.Errorf("the newest transaction is %x, %v", c.Version, err)
			}
			break
		}
		return nil
	})
	s.view(want[19].Version, func(r engine.Reader) error {
		if got := s.commits(r, want[9].Version, false); len(got) != 10 || got[9].Version != want[19].Version {
			t.Errorf("%d transactions between the 10th and the 20th", len(got))
		}
		return nil
	})
}

func (s *store) commits(r engine.Reader, from engine.Version, reverse bool) (all []engine.Commit) {
	s.t.Helper()
	for c, err := range r.Commits(from, reverse) {
		if err != nil {
			s.t.Fatalf("Commits: %v", err)
		}
		all = append(all, c)
	}
	return all
}

func compareCommit(t *testing.T, got, want engine.Commit) {
	t.Helper()
	if want.Op.ID == "" && got.Op.ID != "" {
		want.Op.ID = got.Op.ID // the engine's choice
	}
	if got.Version != want.Version || got.Op != want.Op || got.RowsRead != want.RowsRead || got.RowsWritten != want.RowsWritten || len(got.Keys) != 0 {
		t.Errorf("provenance %+v, want %+v", got, want)
	}
}

func expectSameCommits(t *testing.T, what string, got, want []engine.Commit) {
	t.Helper()
	same := slices.EqualFunc(got, want, func(a, b engine.Commit) bool {
		return a.Version == b.Version && a.Op == b.Op && a.Time.Equal(b.Time)
	})
	if !same {
		t.Errorf("%s: %d transactions that are not the %d expected", what, len(got), len(want))
	}
}

// testPastInUpdate: a transaction can look at the past like a View, and what it
// decides by that is still true when it commits.
func testPastInUpdate(t *testing.T, s *store) {
	start := s.newest()
	v1 := s.set("a", "1")
	s.set("a", "2")
	names := map[engine.Version]string{}
	count := func(tx engine.Tx) error {
		past, err := history(tx, "a", names)
		if err != nil {
			return err
		}
		changed, err := changes(tx, rangeOf("a", "b"), v1, names)
		if err != nil {
			return err
		}
		commits := len(s.commits(tx, start, true))
		text := fmt.Sprint(strings.Count(past, "a="), " ", strings.Count(changed, "a="), " ", commits)
		return write(tx, "seen", text)
	}
	s.update(count)
	if got := s.get("", "seen"); got != "2 1 2" {
		t.Errorf("a transaction sees %s versions, changes and transactions, want 2 1 2", got)
	}
	// Each of these sees all of the others that came before.
	const n = 12
	var fns []func(engine.Tx) error
	for range n {
		fns = append(fns, func(tx engine.Tx) error {
			return write(tx, fmt.Sprint("commits", len(s.commits(tx, start, false))), "x")
		})
	}
	s.inParallel(fns...)
	s.view("", func(r engine.Reader) error {
		got, err := scan(r, engine.PrefixRange([]byte("commits")), false)
		if len(got) != n {
			t.Errorf("%d transactions that count those before them make %q", n, got)
		}
		return err
	})
}

func testTrace(t *testing.T, s *store) {
	start := s.newest()
	v, err := s.Update(s.ctx, &engine.Op{Name: "traced", Trace: true}, func(tx engine.Tx) error {
		key := []byte("a")
		tx.Count(1, 0, key)
		key[0] = '?'
		tx.Count(0, 2, []byte("b"), []byte("c\x00"))
		return write(tx, "b", "1", "c\x00", "2")
	})
	if err != nil {
		t.Fatal(err)
	}
	big, err := s.Update(s.ctx, &engine.Op{Name: "large", Trace: true}, func(tx engine.Tx) error {
		for i := range 200 {
			tx.Count(1, 0, fmt.Appendf(nil, "%01000d", i))
		}
		return write(tx, "d", "1")
	})
	if err != nil {
		t.Fatal(err)
	}
	s.view("", func(r engine.Reader) error {
		all := s.commits(r, start, false)
		if len(all) != 2 || all[0].Version != v || all[1].Version != big {
			t.Fatalf("%d transactions", len(all))
		}
		if got := fmt.Sprintf("%q", all[0].Keys); got != `["a" "b" "c\x00"]` || all[0].RowsRead != 1 || all[0].RowsWritten != 2 {
			t.Errorf("traced keys %s, %d read, %d written", got, all[0].RowsRead, all[0].RowsWritten)
		}
		size := 0
		for _, k := range all[1].Keys {
			size += len(k)
		}
		if size == 0 || size > engine.MaxTracedKB<<10 || all[1].RowsRead != 200 {
			t.Errorf("of 200 keys of 1000 bytes %d bytes are traced, and %d counted", size, all[1].RowsRead)
		}
		return nil
	})
}

func testTime(t *testing.T, s *store) {
	empty := s.newest()
	long := time.Now().AddDate(-20, 0, 0)
	if v, err := s.At(s.ctx, long); err == nil {
		if v > empty {
			t.Errorf("20 years ago there was %x, later than the empty store", v)
		}
	} else {
		wantError(t, "At 20 years ago", err, engine.ErrTooOld)
	}
	var versions []engine.Version
	for i := range 20 {
		versions = append(versions, s.set("k", fmt.Sprint(i)))
		time.Sleep(50 * time.Microsecond) // so that most have a time of their own
	}
	s.view("", func(r engine.Reader) error {
		all := s.commits(r, empty, false)
		for i, c := range all {
			v, err := s.At(s.ctx, c.Time)
			if err != nil || v < versions[i] {
				t.Fatalf("At the time of commit %d: %x, before its version %x; %v", i, v, versions[i], err)
			}
			last := i
			for last+1 < len(all) && !all[last+1].Time.After(c.Time) {
				last++
			}
			if got := s.get(v, "k"); got != fmt.Sprint(last) {
				t.Errorf("at the time of commit %d k is %s, want %d", i, got, last)
			}
		}
		return nil
	})
	v, err := s.At(s.ctx, time.Now().Add(24*time.Hour))
	if err != nil || s.get(v, "k") != "19" {
		t.Errorf("At tomorrow: %x, %v", v, err)
	}
}

func testChanged(t *testing.T, s *store) {
	v0 := s.set("a", "1", "m", "1")
	v1 := s.set("b", "1")
	v2 := s.restore(rangeOf("m", "n"), "")
	v3 := s.set("b", "-")
	ask := func(since engine.Version, want bool, ranges ...engine.Range) {
		t.Helper()
		s.update(func(tx engine.Tx) error {
			got, err := tx.Changed(since, ranges)
			if want && !got {
				t.Errorf("Changed since %x, %q: %v", since, ranges, got)
			}
			return err
		})
	}
	ask(v0, true, engine.KeyRange([]byte("b")))
	ask(v1, true, engine.KeyRange([]byte("b")))
	ask(v2, true, rangeOf("x", "y"), rangeOf("b", "c"))
	ask(v1, true, engine.KeyRange([]byte("m")))
	ask(v0, true, engine.All)
	ask(v3, false, engine.KeyRange([]byte("a")))
	s.update(func(tx engine.Tx) error {
		got, err := tx.Changed(tx.Version(), []engine.Range{engine.All})
		if got {
			t.Error("something has changed since the newest version")
		}
		return err
	})
}
