package txn_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/txn"
)

func begin(t *testing.T, db *txn.DB) *txn.Tx {
	t.Helper()
	tx, err := db.Begin(t.Context(), op())
	check(t, err)
	return tx
}

func put(t *testing.T, db *txn.DB, key, value string) engine.Version {
	t.Helper()
	v, err := db.Update(t.Context(), op(), func(tx *txn.Tx) error { return tx.Put([]byte(key), []byte(value)) })
	check(t, err)
	return v
}

func get(t *testing.T, tx *txn.Tx, key string) string {
	t.Helper()
	v, found, err := tx.Get([]byte(key))
	check(t, err)
	if !found {
		return "-"
	}
	return string(v)
}

// Two transactions that each read what the other writes must not both commit.
func TestWriteSkew(t *testing.T) {
	db := newDB(t)
	put(t, db, "a", "on call")
	put(t, db, "b", "on call")
	one, two := begin(t, db), begin(t, db)
	if get(t, one, "a")+get(t, one, "b")+get(t, two, "a")+get(t, two, "b") == "" {
		t.Fatal()
	}
	check(t, one.Put([]byte("a"), []byte("off")))
	check(t, two.Put([]byte("b"), []byte("off")))
	_, err := one.Commit(t.Context())
	check(t, err)
	if _, err := two.Commit(t.Context()); !errors.Is(err, engine.ErrConflict) {
		t.Fatalf("second of two: %v", err)
	}
	check(t, db.View(t.Context(), func(tx *txn.Tx) error {
		if a, b := get(t, tx, "a"), get(t, tx, "b"); a != "off" || b != "on call" {
			t.Errorf("a %s, b %s", a, b)
		}
		return nil
	}))
}

// A key that appears, or changes, in a range that was read, also an empty one, also by a
// cursor that was not closed, is a conflict; one beyond where the cursor came is
// none.
func TestPhantom(t *testing.T) {
	for _, test := range []struct {
		low, high string
		reverse   bool
		reads     int // keys, of x1, x3, x5
		appears   string
		conflict  bool
	}{
		{"x", "y", false, 9, "x9", true},
		{"x", "y", false, 9, "y", false},
		{"z", "zz", false, 9, "z5", true},
		{"x", "y", false, 1, "x0", true},
		{"x", "y", false, 1, "x1", true},
		{"x", "y", false, 1, "x2", false},
		{"x", "y", true, 1, "x6", true},
		{"x", "y", true, 1, "x5", true},
		{"x", "y", true, 1, "x4", false},
	} {
		for _, closed := range []bool{true, false} {
			db := newDB(t)
			for _, k := range []string{"x1", "x3", "x5"} {
				put(t, db, k, "")
			}
			tx := begin(t, db)
			c := tx.Scan(engine.Range{Low: []byte(test.low), High: []byte(test.high)}, engine.ScanOptions{Reverse: test.reverse})
			for i := 0; i < test.reads && c.Next(); i++ {
			}
			if closed {
				check(t, c.Close())
			}
			put(t, db, test.appears, "")
			check(t, tx.Put([]byte("out"), nil))
			_, err := tx.Commit(t.Context())
			if errors.Is(err, engine.ErrConflict) != test.conflict || err != nil && !test.conflict {
				t.Errorf("%+v, closed %v: %v", test, closed, err)
			}
		}
	}
}

// Increments by interactive transactions that run again after a conflict, and by
// procedures, none of which is lost.
func TestCounter(t *testing.T) {
	db := newDB(t)
	const workers, each = 8, 25
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				if w%2 == 0 {
					_, err := db.Update(t.Context(), op(), increment)
					check(t, err)
					continue
				}
				for {
					tx, err := db.Begin(t.Context(), op())
					check(t, err)
					check(t, increment(tx))
					if _, err = tx.Commit(t.Context()); err == nil {
						break
					}
					if !errors.Is(err, engine.ErrConflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	check(t, db.View(t.Context(), func(tx *txn.Tx) error {
		if got := get(t, tx, "n"); got != fmt.Sprint(workers*each) {
			t.Errorf("counted %s", got)
		}
		return nil
	}))
}

func increment(tx *txn.Tx) error {
	value, _, err := tx.Get([]byte("n"))
	if err != nil {
		return err
	}
	n := 0
	if len(value) > 0 {
		if _, err := fmt.Sscan(string(value), &n); err != nil {
			return err
		}
	}
	return tx.Put([]byte("n"), fmt.Append(nil, n+1))
}

// What a cursor shows is the state when it was opened.
func TestScanDoesNotSeeLaterWrites(t *testing.T) {
	db := newDB(t)
	_, err := db.Update(t.Context(), op(), func(tx *txn.Tx) error {
		for i := range 100 { // enough for the tree
			check(t, tx.Put(fmt.Appendf(nil, "a%02d", i), nil))
		}
		c := tx.Scan(engine.All, engine.ScanOptions{})
		defer c.Close()
		n := 0
		for c.Next() {
			n++
			check(t, tx.Put(append([]byte("b"), c.Key()...), nil))
			check(t, tx.Delete(c.Key()))
		}
		if n != 100 {
			t.Errorf("scanned %d keys", n)
		}
		return c.Err()
	})
	check(t, err)
}

func TestMisuse(t *testing.T) {
	db := newDB(t)
	var kept *txn.Tx
	check(t, db.View(t.Context(), func(tx *txn.Tx) error {
		kept = tx
		for _, err := range []error{tx.Put([]byte("a"), nil), tx.Delete([]byte("a")), tx.Restore(engine.All, tx.Version())} {
			if !errors.Is(err, txn.ErrReadOnly) {
				t.Errorf("write in a view: %v", err)
			}
		}
		return nil
	}))
	if _, _, err := kept.Get([]byte("a")); !errors.Is(err, txn.ErrDone) {
		t.Errorf("after the end: %v", err)
	}
	tx := begin(t, db)
	check(t, tx.Put([]byte("a"), nil))
	tx.Rollback()
	tx.Rollback()
	for _, err := range []error{
		tx.Put([]byte("a"), nil),
		func() error { _, err := tx.Commit(t.Context()); return err }(),
		tx.Scan(engine.All, engine.ScanOptions{}).Err(),
	} {
		if !errors.Is(err, txn.ErrDone) {
			t.Errorf("after rollback: %v", err)
		}
	}
}

func TestLimits(t *testing.T) {
	db := newDB(t)
	_, err := db.Update(t.Context(), op(), func(tx *txn.Tx) error {
		value := make([]byte, engine.DefaultMaxValue)
		for i := 0; ; i++ {
			if err := tx.Put(fmt.Append(nil, i), value); err != nil {
				return err
			}
		}
	})
	var limit *engine.LimitError
	if !errors.As(err, &limit) || limit.Limit != engine.MaxTxBytes {
		t.Errorf("too many bytes: %v", err)
	}
	for _, size := range []int{0, engine.MaxKey + 1} {
		_, err := db.Update(t.Context(), op(), func(tx *txn.Tx) error {
			return tx.Put(bytes.Repeat([]byte{1}, size), nil)
		})
		if err == nil {
			t.Errorf("key of %d bytes was taken", size)
		}
	}
	if v := version(t, db); v != version(t, db) {
		t.Error("something was committed")
	}
}
