package enginetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
)

func testScan(t *testing.T, s *store) {
	s.set("a", "1", "b", "2", "b\x00", "3", "ba", "4", "c", "5", "\xff", "6", "gone", "x")
	s.set("gone", "-")
	for _, try := range []struct {
		rng  engine.Range
		want string
	}{
		{engine.All, "a=1 b=2 b\x00=3 ba=4 c=5 \xff=6"},
		{rangeOf("b", "c"), "b=2 b\x00=3 ba=4"},
		{rangeOf("b", "b\x00"), "b=2"},
		{engine.KeyRange([]byte("b")), "b=2"},
		{engine.PrefixRange([]byte("b")), "b=2 b\x00=3 ba=4"},
		{engine.PrefixRange([]byte("\xff")), "\xff=6"},
		{rangeOf("b\x00", ""), "b\x00=3 ba=4 c=5 \xff=6"},
		{engine.Range{High: []byte("b")}, "a=1"},
		{rangeOf("bb", "bz"), ""},
		{rangeOf("c", "b"), ""},
		{rangeOf("b", "b"), ""},
		{rangeOf("gone", "gonf"), ""},
	} {
		s.view("", func(r engine.Reader) error {
			return scanBothWays(t, r, try.rng, strings.Fields(try.want))
		})
		s.update(func(tx engine.Tx) error {
			return scanBothWays(t, tx, try.rng, strings.Fields(try.want))
		})
	}
}

// scanBothWays scans with every limit and hint that matters.
func scanBothWays(t *testing.T, r engine.Reader, rng engine.Range, want []string) error {
	for _, reverse := range []bool{false, true} {
		want := slices.Clone(want)
		if reverse {
			slices.Reverse(want)
		}
		for _, hint := range []int{0, 1, 2, 3, 100} {
			// The hint is no limit: all that is asked for comes.
			for _, n := range []int{-1, 1, 2, len(want)} {
				got, err := scanLimit(r, rng, engine.ScanOptions{Reverse: reverse, Limit: hint}, n)
				if err != nil {
					return err
				}
				some := want
				if n >= 0 {
					some = want[:min(n, len(want))]
				}
				if !slices.Equal(got, some) {
					t.Errorf("scan of [%q,%q) reverse=%v limit=%d to %d: %q, want %q", rng.Low, rng.High, reverse, hint, n, got, some)
				}
			}
		}
	}
	return nil
}

func testScanLarge(t *testing.T, s *store) {
	const n = 3000
	var want []string
	first := s.update(func(tx engine.Tx) error {
		want = want[:0]
		for i := range n {
			key := fmt.Sprintf("key%06d", i)
			want = append(want, fmt.Sprintf("%s=%d", key, i))
			if err := tx.Put([]byte(key), fmt.Append(nil, i)); err != nil {
				return err
			}
		}
		return nil
	})
	// Two cursors at a time, while everything is being deleted.
	s.view(first, func(r engine.Reader) error {
		forth, back := r.Scan(engine.All, engine.ScanOptions{}), r.Scan(engine.All, engine.ScanOptions{Reverse: true})
		for i := range n {
			if i == n/2 {
				s.update(deleteAll)
			}
			if !forth.Next() || !back.Next() {
				t.Fatalf("a scan ends at key %d: %v, %v", i, forth.Err(), back.Err())
			}
			if got := fmt.Sprintf("%s=%s", forth.Key(), forth.Value()); got != want[i] {
				t.Fatalf("key %d is %q, want %q", i, got, want[i])
			}
			if got := fmt.Sprintf("%s=%s", back.Key(), back.Value()); got != want[n-1-i] {
				t.Fatalf("key %d from the end is %q, want %q", i, got, want[n-1-i])
			}
		}
		if forth.Next() || back.Next() {
			t.Error("a scan goes on behind its end")
		}
		return errors.Join(forth.Err(), forth.Close(), back.Err(), back.Close())
	})
	s.expect("", "")
}

// deleteAll removes all keys.
func deleteAll(tx engine.Tx) error {
	c := tx.Scan(engine.All, engine.ScanOptions{})
	var keys [][]byte
	for c.Next() {
		keys = append(keys, slices.Clone(c.Key()))
	}
	err := errors.Join(c.Err(), c.Close())
	for _, key := range keys {
		err = errors.Join(err, tx.Delete(key))
	}
	return err
}

// testLongKeys has keys that differ only in their last bytes.
func testLongKeys(t *testing.T, s *store) {
	base := strings.Repeat("long", engine.MaxKey/4-1)
	var want []string
	for _, end := range []string{"", "a", "aa", "ab", "b", "\xff\xff"} {
		s.set(base+end, "v"+end)
		want = append(want, base+end+"=v"+end)
	}
	v := s.newest()
	s.expect("", strings.Join(want, " "))
	s.view("", func(r engine.Reader) error {
		return scanBothWays(t, r, rangeOf(base+"a", base+"b"), want[1:4])
	})
	s.set(base+"aa", "-")
	s.restore(rangeOf(base+"aa", base+"ab"), v)
	s.expect("", strings.Join(want, " "))
}

func testBatch(t *testing.T, s *store) {
	s.set("a", "1", "b", "2", "c", "")
	keys := [][]byte{[]byte("c"), []byte("x"), []byte("a"), []byte("a"), []byte("b")}
	read := func(r engine.Reader) error {
		var got []string
		err := r.GetBatch(keys, func(i int, value []byte) error {
			got = append(got, fmt.Sprintf("%d:%s=%s", i, keys[i], value))
			return nil
		})
		if text := strings.Join(got, " "); text != "0:c= 2:a=1 3:a=1 4:b=2" {
			t.Errorf("batch: %q", text)
		}
		mine, calls := errors.New("mine"), 0
		stopped := r.GetBatch(keys, func(int, []byte) error { calls++; return mine })
		wantError(t, "GetBatch whose function fails", stopped, mine)
		if calls != 1 {
			t.Errorf("GetBatch goes on after an error, %d times", calls)
		}
		none := r.GetBatch(nil, func(int, []byte) error { return mine })
		return errors.Join(err, none)
	}
	s.view("", read)
	s.update(func(tx engine.Tx) error { return read(tx) })
}

// testBuildsOn: reads in a transaction do not see its writes.
func testBuildsOn(t *testing.T, s *store) {
	v := s.set("a", "1", "b", "2")
	s.update(func(tx engine.Tx) error {
		if tx.Version() != v {
			t.Errorf("a transaction after %x builds on %x", v, tx.Version())
		}
		if err := write(tx, "a", "3", "b", "-", "c", "4"); err != nil {
			return err
		}
		if err := tx.Restore(rangeOf("x", "y"), v); err != nil {
			return err
		}
		if got, err := scan(tx, engine.All, false); err != nil || strings.Join(got, " ") != "a=1 b=2" {
			t.Errorf("a transaction sees %q, %v", got, err)
		}
		value, found, err := tx.Get([]byte("b"))
		if !found || string(value) != "2" {
			t.Errorf("Get in a transaction: %q, %v", value, found)
		}
		return err
	})
	s.expect("", "a=3 c=4")
}

// testPast reads at each of many versions.
func testPast(t *testing.T, s *store) {
	versions := []engine.Version{s.newest()}
	states := []string{""}
	now := map[string]string{}
	for i := range 120 {
		key := fmt.Sprintf("k%d", i*7%11)
		value := fmt.Sprint(i)
		if now[key] = value; i%5 == 4 {
			value = "-"
			delete(now, key)
		}
		versions = append(versions, s.set(key, value))
		states = append(states, render(now))
	}
	for i, v := range versions {
		s.expect(v, states[i])
	}
}

// render writes a map as expect wants it.
func render(m map[string]string) string {
	var pairs []string
	for k, v := range m {
		pairs = append(pairs, k+"="+v)
	}
	slices.SortFunc(pairs, func(a, b string) int {
		ka, _, _ := strings.Cut(a, "=")
		kb, _, _ := strings.Cut(b, "=")
		return strings.Compare(ka, kb)
	})
	return strings.Join(pairs, " ")
}

func testReaderAt(t *testing.T, s *store) {
	v1 := s.set("a", "1")
	v2 := s.set("a", "2", "b", "2")
	v3 := s.set("a", "-")
	read := func(r engine.Reader) error {
		for v, want := range map[engine.Version]string{v1: "a=1", v2: "a=2 b=2", r.Version(): "b=2"} {
			past, err := r.At(v)
			if err != nil {
				return err
			}
			got, err := scan(past, engine.All, false)
			if err != nil || strings.Join(got, " ") != want || past.Version() != v {
				t.Errorf("At(%x): %q at %x, %v; want %q", v, got, past.Version(), err, want)
			}
		}
		return nil
	}
	s.view("", read)
	s.update(func(tx engine.Tx) error { return read(tx) })
	s.view(v2, func(r engine.Reader) error {
		_, err := r.At(v3)
		wantError(t, "a later version", err, engine.ErrVersion)
		return nil
	})
}

func testForeignVersions(t *testing.T, s *store) {
	v := s.set("a", "1")
	future := engine.Version(strings.Repeat("\xff", len(v)))
	for _, bad := range []engine.Version{"x", "no version at all", future, v + "x", v[:len(v)-1]} {
		err := s.View(s.ctx, bad, func(r engine.Reader) error {
			_, _, err := r.Get([]byte("a"))
			return err
		})
		wantError(t, fmt.Sprintf("View of %q", bad), err, engine.ErrVersion)
		_, err = s.Watch(s.ctx, bad, engine.All)
		wantError(t, fmt.Sprintf("Watch since %q", bad), err, engine.ErrVersion)
		_, err = s.Update(s.ctx, plain, func(tx engine.Tx) error { return tx.Restore(engine.All, bad) })
		wantError(t, fmt.Sprintf("Restore to %q", bad), err, engine.ErrVersion)
		_, err = s.Update(s.ctx, plain, func(tx engine.Tx) error { _, err := tx.Changed(bad, nil); return err })
		wantError(t, fmt.Sprintf("Changed since %q", bad), err, engine.ErrVersion)
		s.view("", func(r engine.Reader) error {
			_, err := r.At(bad)
			wantError(t, fmt.Sprintf("At %q", bad), err, engine.ErrVersion)
			return nil
		})
	}
	s.expect("", "a=1")
}
