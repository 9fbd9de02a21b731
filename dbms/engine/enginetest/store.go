package enginetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
)

// store is an engine under test with shorthands, which end the test on an error
// that it does not expect.
type store struct {
	engine.Engine
	t      *testing.T
	ctx    context.Context
	closed bool
}

var plain = &engine.Op{User: "tester", Program: "enginetest", Name: "plain"}

// update runs fn and expects it to be committed.
func (s *store) update(fn func(engine.Tx) error) engine.Version {
	s.t.Helper()
	v, err := s.Update(s.ctx, plain, fn)
	if err != nil {
		s.t.Fatalf("Update: %v", err)
	}
	if v == "" {
		s.t.Fatal("Update returned no version")
	}
	return v
}

// set writes pairs of keys and values in one transaction. The value "-" deletes.
func (s *store) set(pairs ...string) engine.Version {
	s.t.Helper()
	return s.update(func(tx engine.Tx) error { return write(tx, pairs...) })
}

func write(tx engine.Tx, pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		var err error
		if pairs[i+1] == "-" {
			err = tx.Delete([]byte(pairs[i]))
		} else {
			err = tx.Put([]byte(pairs[i]), []byte(pairs[i+1]))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// restore makes r as it was at an earlier version.
func (s *store) restore(r engine.Range, to engine.Version) engine.Version {
	s.t.Helper()
	return s.update(func(tx engine.Tx) error { return tx.Restore(r, to) })
}

// view reads at a version and expects success.
func (s *store) view(at engine.Version, fn func(engine.Reader) error) {
	s.t.Helper()
	if err := s.View(s.ctx, at, fn); err != nil {
		s.t.Fatalf("View: %v", err)
	}
}

// newest returns the newest version.
func (s *store) newest() (v engine.Version) {
	s.t.Helper()
	s.view("", func(r engine.Reader) error { v = r.Version(); return nil })
	if v == "" {
		s.t.Fatal("a View of the newest state has no version")
	}
	return v
}

// expect compares all keys at a version, by scan, by reverse scan, by Get and
// by GetBatch, with words like "a=1 b=2".
func (s *store) expect(at engine.Version, want string) {
	s.t.Helper()
	s.view(at, func(r engine.Reader) error {
		got, err := scan(r, engine.All, false)
		if err != nil {
			return err
		}
		if text := strings.Join(got, " "); text != want {
			s.t.Fatalf("at %x: there is %q, want %q", at, text, want)
		}
		back, err := scan(r, engine.All, true)
		if err != nil {
			return err
		}
		if slices.Reverse(back); !slices.Equal(got, back) {
			s.t.Fatalf("at %x: a reverse scan finds %q, a scan %q", at, back, got)
		}
		return s.expectKeys(r, got)
	})
}

// expectKeys looks up one by one, and together, what a scan has found.
func (s *store) expectKeys(r engine.Reader, pairs []string) error {
	s.t.Helper()
	keys := [][]byte{[]byte("no such key")}
	for _, pair := range pairs {
		key, want, _ := strings.Cut(pair, "=")
		keys = append(keys, []byte(key))
		value, found, err := r.Get([]byte(key))
		if err != nil {
			return err
		}
		if !found || string(value) != want {
			s.t.Fatalf("Get(%q) is %q, %v; a scan finds %q", key, value, found, want)
		}
	}
	var batch []string
	err := r.GetBatch(keys, func(i int, value []byte) error {
		batch = append(batch, fmt.Sprintf("%s=%s", keys[i], value))
		return nil
	})
	if !slices.Equal(batch, pairs) {
		s.t.Fatalf("GetBatch finds %q, a scan %q", batch, pairs)
	}
	return err
}

// scan returns the keys and values of a range, as "key=value".
func scan(r engine.Reader, rng engine.Range, reverse bool) ([]string, error) {
	return scanLimit(r, rng, engine.ScanOptions{Reverse: reverse}, -1)
}

// scanLimit stops after n keys.
func scanLimit(r engine.Reader, rng engine.Range, o engine.ScanOptions, n int) (pairs []string, err error) {
	c := r.Scan(rng, o)
	for len(pairs) != n && c.Next() {
		pairs = append(pairs, fmt.Sprintf("%s=%s", c.Key(), c.Value()))
	}
	return pairs, errors.Join(c.Err(), c.Close())
}

// get reads one key at a version; "-" if there is none.
func (s *store) get(at engine.Version, key string) (text string) {
	s.t.Helper()
	s.view(at, func(r engine.Reader) error {
		value, found, err := r.Get([]byte(key))
		if text = string(value); !found {
			text = "-"
		}
		return err
	})
	return text
}

// check lets the engine prove itself.
func (s *store) check() {
	s.t.Helper()
	err := s.Check(context.Background(), func(p engine.Problem) { s.t.Errorf("check: %s: %s", p.Where, p.What) })
	if err != nil {
		s.t.Errorf("Check: %v", err)
	}
}

func (s *store) close() {
	s.t.Helper()
	s.closed = true
	if err := s.Close(); err != nil {
		s.t.Errorf("Close: %v", err)
	}
}

func rangeOf(low, high string) engine.Range {
	r := engine.Range{Low: []byte(low)}
	if high != "" {
		r.High = []byte(high)
	}
	return r
}

// wantError expects an error of a kind.
func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
