package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/dbms/txn"
)

// tally is a small row, so that ten million of them are made in bearable time.
type tally struct {
	ID    uint64 `table:"key"`
	Count int64
}

// restoreStore is a store whose rows have all been changed once.
type restoreStore struct {
	db            *table.DB
	rows          *table.Table[tally]
	n             uint64
	before, after engine.Version // of the change
}

func (w *world) restorable(n uint64) (*restoreStore, error) {
	if s := w.restoring[n]; s != nil {
		return s, nil
	}
	w.loading("and changing " + grouped(n) + " rows")
	name := fmt.Sprint("restore-", n)
	e, err := w.openEngine(name, embedded.Options{})
	if err != nil {
		return nil, err
	}
	s := &restoreStore{rows: table.Declare[tally]("tally"), n: n}
	if s.db, err = table.Open(w.ctx, txn.New(e), op("open"), s.rows); err != nil {
		return nil, err
	}
	for count, v := range []*engine.Version{&s.before, &s.after} {
		err := eachBatch(w.ctx, s.db, "load", n, func(tx *table.Tx, id uint64) error {
			return s.rows.Put(tx, &tally{ID: id, Count: int64(count)})
		})
		if err != nil {
			return nil, err
		}
		if *v, err = version(w.ctx, s.db); err != nil {
			return nil, err
		}
	}
	if w.restoring == nil {
		w.restoring = make(map[uint64]*restoreStore)
	}
	w.restoring[n] = s
	return s, e.Sync(w.ctx, "")
}

const restoresInTurn = 5

// restore measures restores of a table of which n rows have changed, in
// milliseconds: the median of some, each durable, each undone by another.
func (w *world) restore(n uint64) measurement {
	return func(ctx context.Context) (float64, error) {
		s, err := w.restorable(n)
		if err != nil {
			return 0, err
		}
		var took []float64
		for range restoresInTurn {
			for count, to := range []engine.Version{s.before, s.after} {
				begun := time.Now()
				_, err := s.db.Update(ctx, durable("restore"), func(tx *table.Tx) error {
					return s.rows.Restore(tx, table.Span{}, to)
				})
				took = append(took, microseconds(time.Since(begun))/1e3)
				if err == nil {
					err = s.verify(ctx, int64(count))
				}
				if err != nil {
					return 0, err
				}
			}
		}
		return median(took), nil
	}
}

// verify sees, of some rows, that the restore has happened.
func (s *restoreStore) verify(ctx context.Context, count int64) error {
	return s.db.View(ctx, func(tx *table.Tx) error {
		for range 10 {
			row, err := s.rows.Get(tx, rand.Uint64N(s.n))
			if err != nil {
				return err
			}
			if row.Count != count {
				return fmt.Errorf("after the restore, row %d has count %d instead of %d", row.ID, row.Count, count)
			}
		}
		return nil
	})
}

// restorePostgres measures pg_restore of the table of items over itself, in
// milliseconds.
func (w *world) restorePostgres(ctx context.Context) (float64, error) {
	if _, err := w.pg(); err != nil {
		return 0, err
	}
	if w.dump == "" {
		w.dump = w.path("items.dump")
		if err := w.pgTool(ctx, "pg_dump", "-Fc", "-t", "item", "-f", w.dump, "postgres"); err != nil {
			return 0, err
		}
	}
	begun := time.Now()
	err := w.pgTool(ctx, "pg_restore", "--clean", "-d", "postgres", w.dump)
	return microseconds(time.Since(begun)) / 1e3, err
}

// pgTool runs one of PostgreSQL's own programs on the server.
func (w *world) pgTool(ctx context.Context, name string, args ...string) error {
	program, err := exec.LookPath(name)
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
		if len(found) == 0 {
			return err
		}
		program = slices.Max(found)
	}
	out, err := exec.CommandContext(ctx, program, append([]string{"-h", w.server.Dir}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
