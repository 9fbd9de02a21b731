package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// Target is what a restore concerns: the whole store, a table, or the rows of a
// table whose key begins with some values (a directory, one workflow).
type Target struct {
	Table string // empty: the whole store
	Key   []any  // values of the first columns of the primary key; nil: the whole table
}

func (t Target) String() string {
	switch {
	case t.Table == "":
		return "the store"
	case len(t.Key) == 0:
		return "table " + t.Table
	}
	return fmt.Sprintf("the rows of table %s that begin with %v", t.Table, t.Key)
}

// Plan says what a restore would undo.
type Plan struct {
	Target Target
	To     engine.Version
	Time   time.Time // of the last transaction that would stay; zero if that is not known

	Undone
	Restores int       // of the transactions, that were restores themselves
	Tables   []Touched // by name
}

// Undone are the transactions that a restore would undo, wholly or in part.
type Undone struct {
	Transactions int
	First, Last  time.Time // of them; zero if there are none
	By           []Author  // who has changed most comes first
}

// Touched counts what became of the rows of one table.
type Touched struct {
	Table   string
	Rows    int // different ones
	Written int // versions
	Deleted int // versions that are deletions
}

// Author is one who made changes.
type Author struct {
	User, Program, Name string
	Transactions, Rows  int // rows: versions written or deleted
}

// Plan looks at what a restore of the target to a version would undo, and changes
// nothing. It takes time in proportion to the number of changes since.
func (s *Store) Plan(ctx context.Context, target Target, to engine.Version) (*Plan, error) {
	p := &planner{
		plan:  Plan{Target: target, To: to},
		rows:  make(map[string]map[string]bool),
		count: make(map[string]*Touched),

		restores: make(map[engine.Version]bool),
	}
	err := s.View(ctx, func(tx *table.Tx) error { return p.run(tx) })
	if err != nil {
		return nil, err
	}
	return p.done(), nil
}

type planner struct {
	plan  Plan
	spans []tableSpan
	rows  map[string]map[string]bool // of each table
	count map[string]*Touched

	restores map[engine.Version]bool // transactions that restored
}

// tableSpan is where the rows of a table are, at one time.
type tableSpan struct {
	rng  engine.Range
	name string
}

func (p *planner) run(tx *table.Tx) error {
	past, err := tx.At(p.plan.To)
	if err != nil {
		return err
	}
	if err := p.locate(tx, past); err != nil {
		return err
	}
	ranges, err := p.plan.Target.ranges(tx, past)
	if err != nil {
		return err
	}
	perVersion := make(map[engine.Version]int)
	for _, r := range ranges {
		for row, err := range tx.Raw().Changes(r, p.plan.To) {
			if err != nil {
				return err
			}
			perVersion[row.Version] += p.see(row)
		}
	}
	for c, err := range past.Raw().Commits("", true) {
		if err != nil && !errors.Is(err, engine.ErrTooOld) {
			return err
		}
		p.plan.Time = c.Time
		break
	}
	p.plan.Undone, err = Attribute(tx, p.plan.To, perVersion)
	return err
}

// locate notes where the tables of now and of then have their rows.
func (p *planner) locate(now, then *table.Tx) error {
	for _, tx := range []*table.Tx{now, then} {
		names, err := tx.Tables()
		if err != nil {
			return err
		}
		for _, name := range names {
			rows, err := tx.Rows(name)
			if err != nil {
				return err
			}
			r, err := rows.Range(table.Span{})
			if err != nil {
				return err
			}
			known := slices.ContainsFunc(p.spans, func(s tableSpan) bool { return s.rng.Overlaps(r) })
			if !known {
				p.spans = append(p.spans, tableSpan{r, name})
			}
		}
	}
	return nil
}

// ranges are the keys that a restore of the target would concern.
func (t Target) ranges(now, then *table.Tx) ([]engine.Range, error) {
	if t.Table == "" {
		return []engine.Range{engine.All}, nil
	}
	tx := now
	if _, err := now.Rows(t.Table); errors.Is(err, table.ErrNoTable) {
		tx = then // it was dropped
	}
	if len(t.Key) == 0 {
		return tx.Ranges(t.Table)
	}
	rows, err := tx.Rows(t.Table)
	if err != nil {
		return nil, err
	}
	r, err := rows.Range(table.Prefix(t.Key...))
	return []engine.Range{r}, err
}

// see counts a change and returns how many rows it is.
func (p *planner) see(c engine.Row) int {
	if c.Restore != nil {
		p.restores[c.Version] = true
		return 0
	}
	i := slices.IndexFunc(p.spans, func(s tableSpan) bool { return s.rng.Contains(c.Key) })
	if i < 0 {
		return 0 // an entry of an index
	}
	t := p.touched(p.spans[i].name)
	p.rows[t.Table][string(c.Key)] = true
	if c.Deleted {
		t.Deleted++
	} else {
		t.Written++
	}
	return 1
}

func (p *planner) touched(name string) *Touched {
	t := p.count[name]
	if t == nil {
		t = &Touched{Table: name}
		p.count[name], p.rows[name] = t, make(map[string]bool)
	}
	return t
}

// Attribute finds out who made changes since a version; rows is how many each transaction
// has changed of what matters.
func Attribute(tx *table.Tx, since engine.Version, rows map[engine.Version]int) (u Undone, err error) {
	by := make(map[[3]string]*Author)
	for c, err := range tx.Raw().Commits(since, false) {
		if err != nil {
			return Undone{}, err
		}
		n, ok := rows[c.Version]
		if !ok {
			continue
		}
		if u.Transactions++; u.First.IsZero() {
			u.First = c.Time
		}
		u.Last = c.Time
		who := [3]string{c.Op.User, c.Op.Program, c.Op.Name}
		a := by[who]
		if a == nil {
			a = &Author{User: who[0], Program: who[1], Name: who[2]}
			by[who] = a
		}
		a.Transactions++
		a.Rows += n
	}
	for _, a := range by {
		u.By = append(u.By, *a)
	}
	slices.SortFunc(u.By, func(a, b Author) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(b.Transactions, a.Transactions),
			cmp.Compare(a.User+a.Program+a.Name, b.User+b.Program+b.Name))
	})
	return u, nil
}

func (p *planner) done() *Plan {
	p.plan.Restores = len(p.restores)
	for name, t := range p.count {
		t.Rows = len(p.rows[name])
		p.plan.Tables = append(p.plan.Tables, *t)
	}
	slices.SortFunc(p.plan.Tables, func(a, b Touched) int { return cmp.Compare(a.Table, b.Table) })
	return &p.plan
}

// Restore makes the target as it was at a version, in constant time, as one
// transaction, which another restore can undo. What it hides can still be read by
// ViewAt for as long as superseded versions are kept.
func (s *Store) Restore(ctx context.Context, op *engine.Op, target Target, to engine.Version) (engine.Version, error) {
	return s.Update(ctx, op, func(tx *table.Tx) error {
		switch {
		case target.Table == "":
			return tx.RestoreAll(to)
		case len(target.Key) == 0:
			return tx.RestoreTable(target.Table, to)
		}
		rows, err := tx.Rows(target.Table)
		if err != nil {
			return err
		}
		return rows.Restore(table.Prefix(target.Key...), to)
	})
}
