package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest"
	"github.com/tuplix/tuplix/dbms/engine/postgres"
)

// TestNothingLeft: when all is beyond retention, only the present is left, as if
// there had been no restores.
func TestNothingLeft(t *testing.T) {
	clock := &enginetest.Clock{}
	schema := newSchema()
	e := open(t, server.URL, postgres.Options{Schema: schema, Now: clock.Now})
	update := func(fn func(engine.Tx) error) engine.Version {
		v, err := e.Update(t.Context(), &engine.Op{}, fn)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	var last engine.Version
	for i := range 30 {
		v := update(func(tx engine.Tx) error {
			if err := tx.Delete(fmt.Appendf(nil, "k%d", (i+1)%7)); err != nil {
				return err
			}
			return tx.Put(fmt.Appendf(nil, "k%d", i%7), fmt.Append(nil, i))
		})
		if i%5 == 4 {
			update(func(tx engine.Tx) error { return tx.Restore(engine.Range{Low: []byte("k2")}, last) })
			last = v
		}
		clock.Advance(24 * time.Hour)
		if i%10 == 0 {
			if _, err := e.Collect(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	present := func() (text string) {
		err := e.View(t.Context(), "", func(r engine.Reader) error {
			c := r.Scan(engine.All, engine.ScanOptions{})
			for c.Next() {
				text += fmt.Sprintf("%s=%s ", c.Key(), c.Value())
			}
			return c.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	before := present()
	clock.Advance(30 * 24 * time.Hour)
	update(func(engine.Tx) error { return nil })
	clock.Advance(30 * 24 * time.Hour)
	if _, err := e.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := present(); after != before {
		t.Errorf("after collection there is %s, before %s", after, before)
	}
	conn, err := pgx.Connect(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	var rows, keys, deleted, restores, commits int
	err = conn.QueryRow(t.Context(), fmt.Sprintf(`select
		(select count(*) from %[1]s.versions), (select count(distinct key) from %[1]s.versions),
		(select count(*) from %[1]s.versions where value is null),
		(select count(*) from %[1]s.restores), (select count(*) from %[1]s.commits)`, pgx.Identifier{schema}.Sanitize())).
		Scan(&rows, &keys, &deleted, &restores, &commits)
	if err != nil || rows != keys || deleted != 0 || restores != 0 || commits != 1 {
		t.Errorf("%d rows of %d keys, %d deletions, %d restores and %d commits are left; %v", rows, keys, deleted, restores, commits, err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestBackground: what is beyond retention goes without being asked.
func TestBackground(t *testing.T) {
	clock := &enginetest.Clock{}
	o := postgres.Options{Schema: newSchema(), Now: clock.Now, CollectEvery: 5 * time.Millisecond, Log: t.Logf}
	e, err := postgres.Open(t.Context(), server.URL, o)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := e.Update(t.Context(), &engine.Op{}, increment("n")); err != nil {
			t.Error(err)
		}
	}
	clock.Advance(2 * engine.DefaultRetention)
	for start := time.Now(); e.Metrics().Collected.Versions < 2; time.Sleep(time.Millisecond) {
		if time.Since(start) > 30*time.Second {
			t.Fatal("nothing was collected")
		}
	}
	expectNumber(t, e, "n", 3)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
