package table

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/postgres/pgtest"
	"github.com/tuplix/tuplix/dbms/table/value"
)

var (
	seedFlag   = flag.Uint64("table-seed", 0, "run TestRandom with this seed only")
	runsFlag   = flag.Int("table-runs", 8, "how often TestRandom runs, each time with a seed of its own")
	stepsFlag  = flag.Int("table-steps", 150, "transactions of a run of TestRandom")
	pgRunsFlag = flag.Int("table-pg-runs", 2, "how often TestRandomOnPostgres runs")
	traceFlag  = flag.Bool("table-trace", false, "log what TestRandom does")
)

// TestRandom runs random transactions, with changes of tables, savepoints,
// restores, retention and power cuts, on tables and on a model, and compares the
// two.
func TestRandom(t *testing.T) {
	if *seedFlag != 0 {
		runRandom(t, *seedFlag, "")
		return
	}
	first := uint64(time.Now().UnixNano())
	for i := range uint64(*runsFlag) {
		t.Run(fmt.Sprint(first+i), func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("again by: go test ./dbms/table -run TestRandom -table-seed %d -table-trace", first+i)
				}
			})
			runRandom(t, first+i, "")
		})
	}
}

// TestRandomOnPostgres is TestRandom on a PostgreSQL server: tables need nothing of an
// engine but what the seam has.
func TestRandomOnPostgres(t *testing.T) {
	server, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	first := uint64(time.Now().UnixNano())
	for i := range uint64(*pgRunsFlag) {
		if !t.Run(fmt.Sprint(first+i), func(t *testing.T) { runRandom(t, first+i, server.URL) }) {
			return
		}
	}
}

type randomRun struct {
	*testing.T
	*rand.Rand
	randomStore
	db       *DB
	now      *modelStore // committed
	state    *modelStore // of the transaction under way
	versions []engine.Version
	past     []*modelStore // by versions
	before   *modelStore   // the first of them
	durable  int           // the first so many of them are
	dying    bool          // the power goes out, or is out
	ids      int           // of tables and columns
	stepRows int           // of a step of a job
	ahead    *ahead        // what was read for a job, perhaps some transactions ago
	tx       *Tx

	crashes, collected int
}

func (r *randomRun) trace(format string, args ...any) {
	if *traceFlag {
		r.Logf(format, args...)
	}
}

func (r *randomRun) id() int { r.ids++; return r.ids }

func runRandom(t *testing.T, seed uint64, url string) {
	empty := &modelStore{tables: make(map[string]*modelTable)}
	r := &randomRun{T: t, Rand: rand.New(rand.NewPCG(seed, 1)), now: empty, before: empty}
	r.stepRows = []int{1, 2, 5, 16, usualStepRows}[r.IntN(5)]
	r.url = url
	r.openStore(seed)
	for i := 0; i < *stepsFlag && !t.Failed(); i++ {
		r.step()
		r.power()
		r.retain()
		r.someSteps()
		if r.IntN(4) == 0 || i == *stepsFlag-1 {
			r.background()
		}
		r.compare("", r.now)
		if n := len(r.versions); n > 0 && r.IntN(5) == 0 {
			j := r.IntN(n)
			r.compare(r.versions[j], r.past[j])
		}
		if r.IntN(10) == 0 || i == *stepsFlag-1 {
			r.check()
		}
	}
}

// step runs one transaction, a procedure or an interactive one.
func (r *randomRun) step() {
	fn := func(tx *Tx) error {
		r.tx, r.state = tx, r.now.clone()
		switch n := r.IntN(20); {
		case n < 3:
			return r.alter()
		case n < 6 && len(r.versions) > 0:
			return r.restore()
		}
		return r.writes(1+r.IntN(12), 2)
	}
	var v engine.Version
	var err error
	op := r.op()
	if r.IntN(3) == 0 {
		var tx *Tx
		if tx, err = r.db.Begin(context.Background(), op); err == nil {
			if err = fn(tx); err == nil {
				v, err = tx.Commit(context.Background())
			} else {
				tx.Rollback()
			}
		}
	} else {
		v, err = r.db.Update(context.Background(), op, fn)
	}
	switch {
	case errors.Is(err, errGiveUp):
		return
	case err != nil:
		r.Fatal(err)
	}
	r.now = r.state
	r.trace("committed as %d", len(r.versions))
	r.versions, r.past = append(r.versions, v), append(r.past, r.now.clone())
	if !op.NoWait {
		r.acknowledged()
	}
}

// errGiveUp ends a transaction without effect.
var errGiveUp = errors.New("given up")

func (r *randomRun) background() {
	r.trace("background")
	if r.IntN(3) == 0 {
		r.forgetBefore()
	}
	err := r.db.Work(context.Background(), testOp)
	if err != nil && !(errors.Is(err, ErrUnique) && r.anyDoubles()) {
		r.Fatalf("work: %v", err)
	}
}

// someSteps does a part of a job, with what was read ahead before: perhaps for another job.
func (r *randomRun) someSteps() {
	var jobs []jobRow
	view(r, r.db, func(tx *Tx) (err error) {
		jobs, err = tx.jobs()
		return err
	})
	for n := r.IntN(3); n > 0 && len(jobs) > 0; n-- {
		j := &jobs[r.IntN(len(jobs))]
		if r.IntN(2) == 0 {
			if err := r.db.readAhead(context.Background(), j, r.ahead); err != nil {
				r.Fatalf("reading ahead: %v", err)
			}
		}
		_, err := r.db.Update(context.Background(), testOp, func(tx *Tx) error {
			_, err := tx.step(j, r.ahead)
			return err
		})
		r.trace("step of a job that is to %s: %v", j.Kind, err)
		if err != nil && !(errors.Is(err, ErrUnique) && r.anyDoubles()) {
			r.Fatalf("step: %v", err)
		}
	}
}

// forgetBefore has repairs go on as if what was there before the restores were no
// longer kept.
func (r *randomRun) forgetBefore() {
	update(r, r.db, func(tx *Tx) error {
		jobs, err := tx.jobs()
		for i := range jobs {
			if jobs[i].Kind == jobRepair && err == nil {
				jobs[i].Before, jobs[i].Position = nil, nil
				err = catJobs.Update(tx, &jobs[i])
			}
		}
		return err
	})
}

func (r *randomRun) anyDoubles() bool {
	for _, t := range r.now.tables {
		if t.doubles() {
			return true
		}
	}
	return false
}

// table picks a table, nil if there is none.
func (r *randomRun) table() *modelTable {
	names := r.state.names()
	if len(names) == 0 {
		return nil
	}
	return r.state.tables[names[r.IntN(len(names))]]
}

// alter changes one table, or what tables there are.
func (r *randomRun) alter() error {
	t := r.table()
	if t == nil || r.IntN(8) == 0 && len(r.state.tables) < 4 {
		return r.create(t)
	}
	before := r.state.clone()
	what, err := r.alterTable(t)
	r.trace("%s %s: %v", t.def.Name, what, err)
	if err != nil {
		if errors.Is(err, engine.ErrCorrupt) {
			return err
		}
		r.state = before // refused; the transaction goes on
		return r.writes(2, 0)
	}
	return r.writes(r.IntN(4), 0)
}

func (r *randomRun) create(parent *modelTable) error {
	t := &modelTable{id: r.id(), rows: make(map[modelKey][]Value), ids: []int{r.id(), r.id(), r.id(), r.id()}, fills: make(map[int]Value)}
	t.def = Definition{Name: fmt.Sprintf("t%d", t.id), Key: []Part{{Column: "a"}, {Column: "b", Descending: r.IntN(2) == 0}},
		Columns: []ColumnDef{{Name: "a", Type: value.Uint64}, {Name: "b", Type: value.Uint64},
			{Name: "x", Type: value.Uint64, Nullable: true}, {Name: "y", Type: value.Uint64, Nullable: true}},
		Indexes: []IndexDef{{Name: "by_x", Parts: []Part{{Column: "x"}, {Column: "y"}}}}}
	if parent != nil {
		t.def.References = []ReferenceDef{{Name: "ref", Columns: []string{"x", "y"}, Table: parent.def.Name, Cascade: r.IntN(2) == 0}}
	}
	r.trace("create %+v", t.def)
	r.state.tables[t.def.Name] = t
	return r.tx.CreateTable(t.def)
}

func (r *randomRun) alterTable(t *modelTable) (string, error) {
	name := t.def.Name
	i := r.IntN(len(t.def.Columns))
	column := t.def.Columns[i]
	switch r.IntN(16) {
	case 0, 1, 2:
		c := ColumnDef{Name: fmt.Sprintf("c%d", r.id()), Type: r.columnType(), Nullable: r.IntN(2) == 0}
		if r.IntN(2) == 0 {
			c.Default = randomValue(r.Rand, c.Type)
		}
		t.def.Columns, t.ids = append(t.def.Columns, c), append(t.ids, r.id())
		t.fills[t.ids[len(t.ids)-1]] = c.fill()
		for k := range t.rows {
			t.rows[k] = append(t.rows[k], c.fill())
		}
		return "add " + c.String(), r.tx.AddColumn(name, c)
	case 3:
		t.def.Columns, t.ids = slices.Delete(t.def.Columns, i, i+1), slices.Delete(t.ids, i, i+1)
		for k := range t.rows {
			t.rows[k] = slices.Delete(t.rows[k], i, i+1)
		}
		return "drop " + column.Name, r.tx.DropColumn(name, column.Name)
	case 4:
		to := fmt.Sprintf("c%d", r.id())
		t.rename(i, to)
		return "rename " + column.Name + " to " + to, r.tx.RenameColumn(name, column.Name, to)
	case 5, 6:
		x := r.newIndex(t)
		t.def.Indexes = append(t.def.Indexes, x)
		return "add " + x.String(), r.tx.AddIndex(name, x)
	case 7:
		if len(t.def.Indexes) == 0 {
			return "nothing", nil
		}
		i := r.IntN(len(t.def.Indexes))
		x := t.def.Indexes[i].Name
		t.def.Indexes = slices.Delete(t.def.Indexes, i, i+1)
		return "drop index " + x, r.tx.DropIndex(name, x)
	case 8, 9, 10:
		c := r.changed(column)
		t.change(i, c)
		return "change to " + c.String(), r.tx.ChangeColumn(name, c)
	case 11, 12:
		return r.addCheck(t)
	case 13:
		return r.addReference(t)
	case 14:
		return r.dropConstraint(t)
	}
	return r.dropOrRename(t)
}

func (r *randomRun) dropOrRename(t *modelTable) (string, error) {
	name := t.def.Name
	delete(r.state.tables, name)
	if r.IntN(2) == 0 {
		return "drop table", r.tx.DropTable(name)
	}
	to := fmt.Sprintf("t%d", r.id())
	t.def.Name = to
	r.state.tables[to] = t
	for _, c := range r.state.tables {
		for i := range c.def.References {
			if c.def.References[i].Table == name {
				c.def.References[i].Table = to
			}
		}
	}
	return "rename table " + to, r.tx.RenameTable(name, to)
}

func (t *modelTable) rename(i int, to string) {
	from := t.def.Columns[i].Name
	t.def.Columns[i].Name = to
	change := func(parts []Part) {
		for j := range parts {
			if parts[j].Column == from {
				parts[j].Column = to
			}
		}
	}
	change(t.def.Key)
	for j := range t.def.Indexes {
		x := &t.def.Indexes[j]
		x.Parts = slices.Clone(x.Parts)
		change(x.Parts)
		x.Where = renamedInTest(x.Where, from, to)
	}
	for j := range t.def.Checks {
		t.def.Checks[j].Cond = renamedInTest(t.def.Checks[j].Cond, from, to)
	}
	for j := range t.def.References {
		cols := slices.Clone(t.def.References[j].Columns)
		for k := range cols {
			if cols[k] == from {
				cols[k] = to
			}
		}
		t.def.References[j].Columns = cols
	}
}

func renamedInTest(cond, from, to string) string {
	if strings.HasPrefix(cond, from+" ") {
		return to + strings.TrimPrefix(cond, from)
	}
	return cond
}

func (r *randomRun) columnType() Type {
	types := []Type{value.Bool, value.Int8, value.Int64, value.Uint8, value.Uint16, value.Float64, value.String, value.Time, value.Decimal, value.JSON}
	return types[r.IntN(len(types))]
}

func (r *randomRun) newIndex(t *modelTable) IndexDef {
	x := IndexDef{Name: fmt.Sprintf("i%d", r.id()), Unique: r.IntN(3) == 0}
	for _, i := range r.Perm(len(t.def.Columns))[:1+r.IntN(2)] {
		x.Parts = append(x.Parts, Part{Column: t.def.Columns[i].Name, Descending: r.IntN(2) == 0})
	}
	for _, c := range t.def.Columns {
		if c.Type.Signed() && r.IntN(3) == 0 {
			x.Where = c.Name + " >= 5"
		}
	}
	return x
}
