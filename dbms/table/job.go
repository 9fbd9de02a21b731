package table

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table/key"
)

// Kinds of jobs. Each is a row of the catalog, and goes on where it was after a
// crash. A job is done in steps, each a transaction of its own, so that no other
// waits for long.
const (
	jobBuild  = "build"  // the entries of an index, for rows that were there before it
	jobClear  = "clear"  // keys that belong to nothing any more
	jobRepair = "repair" // the entries of rows that were restored
)

// Of one step.
const (
	usualStepRows = 8  // to build
	repairRows    = 4  // times as many to repair: until it is done, readers of an index read both ways
	stepClear     = 32 // keys
)

// everything is the range of all that a table has outside of the catalog.
func (s *schema) everything() engine.Range {
	return engine.PrefixRange(key.AppendUint(nil, uint64(s.id)))
}

// addJob adds a job of j's table.
func (t *Tx) addJob(j jobRow, r engine.Range) error {
	last, err := catJobs.First(t, Prefix(j.Table).Reverse())
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	j.ID = last.ID + 1
	j.Low, j.High = r.Low, r.High
	return catJobs.Insert(t, &j)
}

// Jobs returns what is to be done in the background.
func (t *Tx) jobs() (jobs []jobRow, err error) {
	if _, err := t.catalog(); err != nil {
		return nil, err
	}
	return collect(catJobs.Scan(t, Span{}))
}

// Work does all that is to be done in the background: it builds indexes, clears
// what was dropped, and repairs the indexes of restored rows. What cannot be done
// (a unique index of which two rows have the same values) is returned, noted in
// the catalog's jobs, and tried again by the next call.
func (db *DB) Work(ctx context.Context, op *engine.Op) error {
	var jobs []jobRow
	err := db.View(ctx, func(tx *Tx) (err error) {
		jobs, err = tx.jobs()
		return err
	})
	for i := range jobs {
		err = errors.Join(err, db.work(ctx, named(op, "background "+jobs[i].Kind), &jobs[i]))
	}
	return err
}

// work does one job.
func (db *DB) work(ctx context.Context, op *engine.Op, j *jobRow) error {
	rest := pause{db: db, begun: time.Now(), seen: db.commits.Load()}
	var a ahead
	for done := false; !done; {
		if err := rest.after(ctx); err != nil {
			return err
		}
		if err := db.readAhead(ctx, j, &a); err != nil {
			return err
		}
		_, err := db.Update(ctx, op, func(tx *Tx) (err error) {
			done, err = tx.step(j, &a)
			return err
		})
		rest.steps++
		if errors.Is(err, ErrUnique) {
			_, noted := db.Update(ctx, op, func(tx *Tx) error { return tx.note(j.Table, j.ID, err.Error()) })
			return errors.Join(err, noted)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Run does Work whenever there is some, until ctx ends, and tells failed of what
// cannot be done.
func (db *DB) Run(ctx context.Context, op *engine.Op, failed func(error)) error {
	for {
		var seen engine.Version
		err := db.View(ctx, func(tx *Tx) error {
			seen = tx.Version()
			return nil
		})
		if err == nil {
			err = db.Work(ctx, op)
		}
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		if _, err := db.Engine().Watch(ctx, seen, engine.PrefixRange(indexPrefix(jobsTable, rowsIndex))); err != nil {
			return err
		}
	}
}

// pause has a job rest for as long as it works, so that transactions which wait
// for it, or for a processor, get their turn. While others commit it rests for longer,
// and after each step: they wait for the step that is under way, and would wait for
// those that follow it without a rest.
type pause struct {
	db    *DB
	begun time.Time // of its work since the last rest
	seen  int64     // transactions, when it looked last
	steps int64     // its own since then
	heard time.Time // when it has last seen that others had committed
}

const (
	// workSlice is for how long a job works before it rests while nobody else commits.
	workSlice = time.Millisecond

	// busyRest is how many times as long as it works a job rests while others commit.
	busyRest = 8

	// busyFor is for how long others who have committed are expected to do so again.
	busyFor = 100 * time.Millisecond
)

// after rests, if it is time for that.
func (p *pause) after(ctx context.Context) error {
	now := time.Now()
	rest := p.rest(now)
	if rest == 0 {
		return ctx.Err()
	}
	t := time.NewTimer(rest)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
	}
	p.begun = time.Now()
	return nil
}

// rest is for how long the job is to rest now.
func (p *pause) rest(now time.Time) time.Duration {
	worked := now.Sub(p.begun)
	switch {
	case p.busy(now):
		return busyRest * worked
	case worked >= workSlice:
		return worked
	}
	return 0
}

// busy tells whether others commit.
func (p *pause) busy(now time.Time) bool {
	commits := p.db.commits.Load()
	if commits-p.seen > p.steps {
		p.heard = now
	}
	p.seen, p.steps = commits, 0
	return !p.heard.IsZero() && now.Sub(p.heard) < busyFor
}

// note writes down why a job cannot go on.
func (t *Tx) note(table, id uint32, problem string) error {
	if _, err := t.catalog(); err != nil {
		return err
	}
	j, err := catJobs.Get(t, table, id)
	if err != nil || j.Problem == problem {
		return ignoreNotFound(err)
	}
	j.Problem = problem
	return catJobs.Update(t, &j)
}

func ignoreNotFound(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// step does a part of a job, makes j what is to be done now, and reports whether nothing
// is left of it.
func (t *Tx) step(j *jobRow, a *ahead) (done bool, err error) {
	c, err := t.catalog()
	if err != nil {
		return false, err
	}
	now, err := catJobs.Get(t, j.Table, j.ID)
	if err != nil {
		return true, ignoreNotFound(err)
	}
	*j = now
	j.Problem = ""
	s := c.tables[j.Table]
	switch {
	case j.Kind == jobClear:
		done, err = t.clearStep(j)
	case s == nil:
		return true, catJobs.Delete(t, j.Table, j.ID)
	case j.Kind == jobBuild:
		done, err = s.dynamic.buildStep(t, j, a)
	case j.Kind == jobRepair:
		done, err = s.dynamic.repairStep(t, j)
	default:
		err = corrupt("catalog.jobs", "a job of kind "+j.Kind)
	}
	if err != nil {
		return false, err
	}
	if !done {
		return false, catJobs.Update(t, j)
	}
	return true, t.endJob(s, j)
}

// endJob removes a job that is done.
func (t *Tx) endJob(s *schema, j *jobRow) error {
	if j.Kind == jobClear {
		return catJobs.Delete(t, j.Table, j.ID)
	}
	return t.change(s.name, func(s *schema) error {
		if err := catJobs.Delete(t, j.Table, j.ID); err != nil {
			return err
		}
		if j.Kind == jobBuild {
			row, err := catIndexes.Get(t, j.Table, j.Index)
			if err != nil {
				return err
			}
			row.Ready = true
			if err := catIndexes.Update(t, &row); err != nil {
				return err
			}
		}
		return t.reload(s.id)
	})
}

// rest is the part of a job's range that is not done.
func (j *jobRow) rest(r engine.Range) engine.Range {
	if len(j.Position) > 0 {
		r.Low = j.Position
	}
	return r
}

func (t *Tx) clearStep(j *jobRow) (done bool, err error) {
	c := t.raw.Scan(j.rest(j.span()), engine.ScanOptions{Limit: stepClear})
	n := 0
	for n < stepClear && c.Next() {
		k := slices.Clone(c.Key())
		if err := t.raw.Delete(k); err != nil {
			return false, errors.Join(err, c.Close())
		}
		j.Position = append(k, 0)
		n++
	}
	j.Done += uint64(n)
	return n < stepClear, errors.Join(c.Err(), c.Close())
}
