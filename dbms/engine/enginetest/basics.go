package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
)

func testEmpty(t *testing.T, s *store) {
	s.expect("", "")
	if v := s.newest(); s.set("a", "1") <= v {
		t.Error("the first transaction is not later than the empty store")
	} else {
		s.expect(v, "")
	}
}

func testValues(t *testing.T, s *store) {
	values := map[string][]byte{
		"empty":      {},
		"nul":        {0},
		"binary":     {0, 1, 0xff, 0xfe, 0},
		"\x00":       []byte("a key of one zero byte"),
		"\xff\xff":   []byte("the last key"),
		"a\x00\xffb": []byte("bytes that codecs trip over"),
		"a":          []byte("a prefix of the one before"),
		"large":      bytes.Repeat([]byte("0123456789abcdef"), engine.DefaultMaxValue/16),
	}
	s.update(func(tx engine.Tx) error {
		scratch := make([]byte, engine.DefaultMaxValue)
		for k, v := range values {
			// Bytes are copied: what the caller does with his own later is his.
			n := copy(scratch, v)
			key := []byte(k)
			if err := tx.Put(key, scratch[:n]); err != nil {
				return err
			}
			clear(scratch)
			clear(key)
		}
		return nil
	})
	s.view("", func(r engine.Reader) error {
		for k, want := range values {
			got, found, err := r.Get([]byte(k))
			if err != nil {
				return err
			}
			if !found || !bytes.Equal(got, want) {
				t.Errorf("%q: %d bytes, %v; want %d bytes", k, len(got), found, len(want))
			}
		}
		_, found, err := r.Get([]byte("a\x00"))
		if found {
			t.Error("a key that is a prefix of another is found")
		}
		return err
	})
}

func testOrder(t *testing.T, s *store) {
	last := s.newest()
	for i := range 50 {
		v := s.set("k", fmt.Sprint(i))
		if v <= last {
			t.Fatalf("version %x follows %x", v, last)
		}
		if now := s.newest(); now != v {
			t.Fatalf("the newest version is %x after %x was committed", now, v)
		}
		last = v
	}
}

func testNoWrites(t *testing.T, s *store) {
	before := s.set("a", "1")
	op := &engine.Op{ID: "reads only"}
	read := func(tx engine.Tx) error { _, _, err := tx.Get([]byte("a")); return err }
	v, err := s.Update(s.ctx, op, read)
	if err != nil || v <= before {
		t.Fatalf("an Update without writes: %x (after %x), %v", v, before, err)
	}
	again, err := s.Update(s.ctx, op, read)
	if err != nil || again != v {
		t.Fatalf("the same operation again: %x, want %x; %v", again, v, err)
	}
	s.expect(v, "a=1")
	if next := s.set("a", "2"); next <= v {
		t.Errorf("version %x follows %x", next, v)
	}
}

func testFailing(t *testing.T, s *store) {
	v := s.set("a", "1", "b", "2")
	mine := errors.New("mine")
	_, err := s.Update(s.ctx, &engine.Op{ID: "fails"}, func(tx engine.Tx) error {
		if err := write(tx, "a", "changed", "b", "-", "c", "new"); err != nil {
			return err
		}
		if err := tx.Restore(rangeOf("x", "z"), v); err != nil {
			return err
		}
		return fmt.Errorf("wrapped: %w", mine)
	})
	wantError(t, "Update whose function fails", err, mine)
	s.expect("", "a=1 b=2")
	if _, done, err := s.Resolve(s.ctx, "fails"); done || err != nil {
		t.Errorf("a failed operation has taken effect: %v, %v", done, err)
	}
	retry, err := s.Update(s.ctx, &engine.Op{ID: "fails"}, func(tx engine.Tx) error { return write(tx, "c", "3") })
	if err != nil || retry <= v {
		t.Errorf("a failed operation run again: %x, %v", retry, err)
	}
	s.expect("", "a=1 b=2 c=3")
}

func testPanic(t *testing.T, s *store) {
	s.set("a", "1")
	func() {
		defer func() {
			if got := recover(); got != "mine" {
				t.Errorf("the panic of a transaction becomes %v", got)
			}
		}()
		v, err := s.Update(s.ctx, plain, func(tx engine.Tx) error {
			if err := write(tx, "a", "2"); err != nil {
				return err
			}
			panic("mine")
		})
		t.Errorf("Update of a function that panics returns %x, %v", v, err)
	}()
	s.expect("", "a=1")
	s.set("a", "3")
	s.expect("", "a=3")
}

func testCancelled(t *testing.T, s *store) {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, err := s.Update(ctx, plain, func(tx engine.Tx) error { return write(tx, "a", "1") })
	wantError(t, "Update when it is cancelled", err, context.Canceled)
	s.expect("", "")

	ctx, cancel = context.WithCancel(s.ctx)
	defer cancel()
	v, err := s.Update(ctx, &engine.Op{ID: "x"}, func(tx engine.Tx) error {
		cancel()
		return write(tx, "a", "1")
	})
	switch {
	case err == nil:
		s.expect(v, "a=1")
	case errors.Is(err, engine.ErrUnknown):
		if _, done, err := s.Resolve(s.ctx, "x"); err != nil || done != (s.get("", "a") == "1") {
			t.Errorf("the outcome is %v, %v", done, err)
		}
	default:
		wantError(t, "Update cancelled on its way", err, context.Canceled)
		s.expect("", "")
	}
}

func testOnce(t *testing.T, s *store) {
	op := &engine.Op{ID: "once", User: "u"}
	first, err := s.Update(s.ctx, op, func(tx engine.Tx) error { return write(tx, "a", "1") })
	if err != nil {
		t.Fatal(err)
	}
	s.set("a", "2")
	again, err := s.Update(s.ctx, op, func(tx engine.Tx) error {
		t.Error("the function of an operation that was done runs again")
		return write(tx, "a", "3")
	})
	if err != nil || again != first {
		t.Errorf("the same operation again: %x, want %x; %v", again, first, err)
	}
	s.expect("", "a=2")
	v, done, err := s.Resolve(s.ctx, "once")
	if v != first || !done || err != nil {
		t.Errorf("Resolve: %x, %v, %v; want %x", v, done, err, first)
	}
	if _, done, err := s.Resolve(s.ctx, "never"); done || err != nil {
		t.Errorf("Resolve of an unknown operation: %v, %v", done, err)
	}
	// What the engine calls an operation of its own is an ID like any other.
	s.view("", func(r engine.Reader) error {
		for c, err := range r.Commits("", false) {
			if err != nil {
				return err
			}
			v, done, err := s.Resolve(s.ctx, c.Op.ID)
			if c.Op.ID == "" || v != c.Version || !done || err != nil {
				t.Errorf("Resolve(%q): %x, %v, %v; want %x", c.Op.ID, v, done, err, c.Version)
			}
		}
		return nil
	})
}

func testOnceConcurrently(t *testing.T, s *store) {
	const ids, tries = 5, 6
	versions := make([]engine.Version, ids*tries)
	var wg sync.WaitGroup
	for i := range versions {
		wg.Go(func() {
			op := &engine.Op{ID: fmt.Sprint("id", i%ids)}
			var err error
			versions[i], err = s.Update(s.ctx, op, func(tx engine.Tx) error { return increment(tx, "n") })
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := s.get("", "n"); got != fmt.Sprint(ids) {
		t.Errorf("%d operations took effect %s times", ids, got)
	}
	for i, v := range versions {
		if v != versions[i%ids] {
			t.Errorf("operation %d has versions %x and %x", i%ids, v, versions[i%ids])
		}
	}
}

// increment adds 1 to the number at key.
func increment(tx engine.Tx, key string) error {
	n := 0
	value, found, err := tx.Get([]byte(key))
	if err != nil {
		return err
	}
	if found {
		if _, err := fmt.Sscan(string(value), &n); err != nil {
			return err
		}
	}
	return tx.Put([]byte(key), fmt.Append(nil, n+1))
}

func testLimits(t *testing.T, s *store) {
	long := strings.Repeat("k", engine.MaxKey)
	s.set(long, "fits")
	s.expect("", long+"=fits")
	put := func(key, value string) func(engine.Tx) error {
		return func(tx engine.Tx) error { return tx.Put([]byte(key), []byte(value)) }
	}
	for name, try := range map[string]struct {
		op *engine.Op
		fn func(engine.Tx) error
	}{
		"key":   {plain, put(long+"k", "")},
		"value": {plain, put("k", strings.Repeat("v", engine.DefaultMaxValue+1))},
		"bytes": {plain, func(tx engine.Tx) error {
			value := make([]byte, engine.DefaultMaxValue)
			for i := range engine.MaxTxBytes/engine.DefaultMaxValue + 1 {
				if err := tx.Put(fmt.Append(nil, i), value); err != nil {
					return err
				}
			}
			return nil
		}},
		"delete": {plain, func(tx engine.Tx) error { return tx.Delete([]byte(long + "k")) }},
		"id":     {&engine.Op{ID: strings.Repeat("x", engine.MaxOpField+1)}, put("k", "v")},
		"user":   {&engine.Op{User: strings.Repeat("x", engine.MaxOpField+1)}, put("k", "v")},
		"task":   {&engine.Op{Task: strings.Repeat("x", engine.MaxOpField+1)}, put("k", "v")},
	} {
		_, err := s.Update(s.ctx, try.op, try.fn)
		var limit *engine.LimitError
		if !errors.As(err, &limit) {
			t.Errorf("%s above its limit: %v", name, err)
		} else if limit.Size <= limit.Limit {
			t.Errorf("%s above its limit: %v", name, limit)
		}
	}
	if _, err := s.Update(s.ctx, plain, put("", "v")); err == nil {
		t.Error("an empty key is accepted")
	}
	s.expect("", long+"=fits")
}

func testMaxWrites(t *testing.T, s *store) {
	if testing.Short() {
		t.Skip("writes as many keys as a transaction may: seconds")
	}
	_, err := s.Update(s.ctx, plain, func(tx engine.Tx) error {
		for i := range engine.MaxWrites + 1 {
			if err := tx.Put(fmt.Appendf(nil, "%08d", i), nil); err != nil {
				return err
			}
		}
		return nil
	})
	var limit *engine.LimitError
	if !errors.As(err, &limit) {
		t.Errorf("more keys than a transaction may write: %v", err)
	}
	s.expect("", "")
}
