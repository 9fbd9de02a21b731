package table

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/model"
	"github.com/tuplix/tuplix/dbms/txn"
)

// alone is an engine of which it is known that nobody else uses it.
type alone struct{ engine.Engine }

func (alone) Exclusive() bool { return true }

var testOp = &engine.Op{Program: "test"}

// openDB opens tables on a new store in memory.
func openDB(t testing.TB, tables ...Declared) *DB {
	t.Helper()
	return openOn(t, alone{model.New(time.Now)}, tables...)
}

func openOn(t testing.TB, e engine.Engine, tables ...Declared) *DB {
	t.Helper()
	db, err := Open(context.Background(), txn.New(e), testOp, tables...)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func update(t testing.TB, db *DB, fn func(*Tx) error) engine.Version {
	t.Helper()
	v, err := db.Update(context.Background(), testOp, fn)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func view(t testing.TB, db *DB, fn func(*Tx) error) {
	t.Helper()
	if err := db.View(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func work(t testing.TB, db *DB) {
	t.Helper()
	if err := db.Work(context.Background(), testOp); err != nil {
		t.Fatal(err)
	}
}

// checkDB fails for every problem of the store.
func checkDB(t testing.TB, db *DB) {
	t.Helper()
	view(t, db, func(tx *Tx) error {
		return tx.Check(func(p engine.Problem) { t.Errorf("check: %s: %s", p.Where, p.What) })
	})
}

// fails sees that a call failed as it should, in a transaction that goes on.
func fails(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v; want %v", what, err, want)
	}
}
