package system

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/file"
	"github.com/tuplix/tuplix/services/net/control"
	"github.com/tuplix/tuplix/services/user"
)

// Restored is what Restore has done, or would do.
type Restored struct {
	To      time.Time
	Plans   []*store.Plan // of the tables, and of the files' tables; nil if it was done
	Tables  []string      // that are restored, besides those of files
	Skipped []string      // that stay: made since, or their past is not kept
}

// passing tells whether a table holds what comes and goes: tasks, messages, lines of
// the log, samples. Their past is kept for a minute only, and they stay as they are.
func passing(name string) bool {
	if !strings.HasPrefix(name, "os.") {
		return false
	}
	return !declares(slices.Concat(user.Tables(), config.Tables(), control.Wanted()), name)
}

// declares tells whether a table is one of some.
func declares(tables []table.Declared, name string) bool {
	return slices.Contains(names(tables), name)
}

func names(tables []table.Declared) (list []string) {
	for _, d := range tables {
		if d, ok := d.(interface{ Name() string }); ok {
			list = append(list, d.Name())
		}
	}
	return list
}

// Restore makes files, users, settings, what is wanted of the network, and the tables
// of programs as they were at a time. What comes and goes stays: tasks, messages, the
// log, samples. It is one transaction, which a restore to the moment before undoes.
// With dry it changes nothing and tells what would be undone. It needs the right of
// admin to the system's part "store". Errors: engine.ErrTooOld for a time that is not
// kept, and the store's.
func (s *System) Restore(ctx context.Context, to time.Time, dry bool) (*Restored, error) {
	if err := s.mayPlan(ctx); err != nil {
		return nil, err
	}
	v, err := s.Store.Engine().At(ctx, to)
	if err != nil {
		return nil, err
	}
	r := &Restored{To: to}
	if err := s.restorable(ctx, v, r); err != nil {
		return nil, err
	}
	if dry {
		return r, s.planAll(ctx, v, r)
	}
	caller := user.From(ctx)
	err = s.File.RestoreWith(ctx, caller.Op("restore"), to, func(tx *table.Tx, v engine.Version) error {
		if err := mayRestore(tx, caller); err != nil {
			return err
		}
		for _, name := range r.Tables {
			if err := tx.RestoreTable(name, v); err != nil {
				return fmt.Errorf("table %s: %w", name, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// mayPlan is mayRestore before anything is looked at: what would be undone tells who did
// what.
func (s *System) mayPlan(ctx context.Context) error {
	return s.Store.View(ctx, func(tx *table.Tx) error { return mayRestore(tx, user.From(ctx)) })
}

func mayRestore(tx *table.Tx, c user.Caller) error {
	return user.Check(tx, c, user.Admin, user.Object{Kind: user.KindSystem, Name: "store"})
}

// RestoreTable makes one table as it was at a time. Errors are those of Restore.
func (s *System) RestoreTable(ctx context.Context, name string, to time.Time, dry bool) (*Restored, error) {
	if err := s.mayPlan(ctx); err != nil {
		return nil, err
	}
	if declares(file.Tables(), name) {
		return nil, fmt.Errorf("table %s is one of several that hold the files: restore a path, or / for all", name)
	}
	v, err := s.Store.Engine().At(ctx, to)
	if err != nil {
		return nil, err
	}
	caller := user.From(ctx)
	r := &Restored{To: to, Tables: []string{name}}
	if dry {
		plan, err := s.Store.Plan(ctx, store.Target{Table: name}, v)
		r.Plans = []*store.Plan{plan}
		return r, err
	}
	_, err = s.Store.Update(ctx, caller.Op("restore table "+name), func(tx *table.Tx) error {
		if err := mayRestore(tx, caller); err != nil {
			return err
		}
		return tx.RestoreTable(name, v)
	})
	return r, err
}

// restorable finds what can be restored: the tables that are there now and were then.
func (s *System) restorable(ctx context.Context, v engine.Version, r *Restored) error {
	var then []string
	err := s.Store.ViewAt(ctx, v, func(tx *table.Tx) (err error) {
		then, err = tx.Tables()
		return err
	})
	if err != nil {
		return err
	}
	files := names(file.Tables())
	return s.Store.View(ctx, func(tx *table.Tx) error {
		now, err := tx.Tables()
		for _, name := range now {
			switch {
			case slices.Contains(files, name), strings.HasPrefix(name, "catalog."):
			case passing(name) || !slices.Contains(then, name):
				r.Skipped = append(r.Skipped, name)
			default:
				r.Tables = append(r.Tables, name)
			}
		}
		return err
	})
}

// planAll looks at each table, and at those of the files.
func (s *System) planAll(ctx context.Context, v engine.Version, r *Restored) error {
	for _, name := range slices.Concat(r.Tables, names(file.Tables())) {
		plan, err := s.Store.Plan(ctx, store.Target{Table: name}, v)
		if errors.Is(err, engine.ErrTooOld) { // what files freed
			continue
		}
		if err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
		r.Plans = append(r.Plans, plan)
	}
	return nil
}

// Say adds a line to what the system says for want of somebody to tell: the kernel's
// log, on a machine.
func (s *System) Say(format string, args ...any) {
	if say := s.options.Store.Log; say != nil {
		say(format, args...)
	}
}
