package table

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table/value"
)

// writes changes rows, within savepoints some of the time.
func (r *randomRun) writes(n, depth int) error {
	for range n {
		t := r.table()
		if t == nil {
			return nil
		}
		if depth > 0 && r.IntN(6) == 0 {
			if err := r.savepoint(depth); err != nil {
				return err
			}
			continue
		}
		if err := r.write(t); err != nil {
			return err
		}
	}
	if r.IntN(15) == 0 {
		return errGiveUp
	}
	return nil
}

func (r *randomRun) savepoint(depth int) error {
	mark, before := r.tx.Savepoint(), r.state.clone()
	r.trace("savepoint")
	var err error
	if r.IntN(4) == 0 {
		err = r.alter()
	} else {
		err = r.writes(1+r.IntN(5), depth-1)
	}
	if err == nil && r.IntN(2) == 0 || errors.Is(err, errGiveUp) {
		r.trace("rollback to it")
		r.tx.RollbackTo(mark)
		r.state = before
		return nil
	}
	return err
}

func (r *randomRun) row(t *modelTable) []Value {
	row := make([]Value, len(t.def.Columns))
	for i, c := range t.def.Columns {
		if !c.Nullable || r.IntN(4) > 0 {
			row[i] = randomValue(r.Rand, c.Type)
		}
	}
	return row
}

// write does one call, and expects of it what the model says.
func (r *randomRun) write(t *modelTable) error {
	rows, err := r.tx.Rows(t.def.Name)
	if err != nil {
		return err
	}
	row := r.row(t)
	k := keyOfRow(row)
	old, exists := t.rows[k]
	if exists && r.IntN(2) == 0 { // change one column only
		i := r.IntN(len(row))
		changed := slices.Clone(old)
		changed[i] = row[i]
		row, k = changed, keyOfRow(changed)
		_, exists = t.rows[k]
	}
	var want, got error
	what := r.IntN(8)
	switch {
	case what < 2:
		if want = r.expect(t, row); exists {
			want = ErrExists
		}
		got = rows.Insert(slices.Clone(row))
	case what < 4:
		want = r.expect(t, row)
		got = rows.Put(slices.Clone(row))
	case what < 6:
		if want = r.expect(t, row); !exists {
			want = ErrNotFound
		}
		got = rows.Update(slices.Clone(row))
	default:
		return r.delete(t, rows, k, exists, what == 7 && r.IntN(4) == 0)
	}
	if t.violates(row, t.def.Checks...) {
		want = ErrCheck
	}
	r.trace("write %d %s %v: %v", what, t.def.Name, row, got)
	if want == ErrUnique && got == nil && r.building(t) {
		want = nil // the other row is not in the index yet; building it will fail
	}
	if !errors.Is(got, want) || want == nil && got != nil {
		r.Errorf("write %d to %s of %v: %v; want %v", what, t.def.Name, row, got, want)
		return errGiveUp
	}
	if want == nil {
		t.rows[k] = row
	}
	return nil
}

// building reports whether the table has a unique index that is being built.
func (r *randomRun) building(t *modelTable) bool {
	return slices.ContainsFunc(r.tx.cat.names[t.def.Name].indexes, func(x *index) bool { return x.Unique && !x.ready })
}

// expect is what forbids a row.
func (r *randomRun) expect(t *modelTable, row []Value) error {
	old := t.rows[keyOfRow(row)]
	same := func(ref ReferenceDef) bool {
		return old != nil && !slices.ContainsFunc(ref.Columns, func(c string) bool { return old[t.column(c)] != row[t.column(c)] })
	}
	for _, ref := range t.def.References {
		if !same(ref) && r.state.dangling(t, row, ref) {
			return ErrReference
		}
	}
	if t.newConflict(old, row) {
		return ErrUnique
	}
	return nil
}

// newConflict is conflict, but only for entries that the row did not have: after
// a restore there may be old ones.
func (t *modelTable) newConflict(old, row []Value) bool {
	if old == nil {
		return t.conflict(row)
	}
	u := *t
	u.def.Indexes = slices.DeleteFunc(slices.Clone(t.def.Indexes), func(x IndexDef) bool {
		return t.in(x, old) && t.in(x, row) && slices.EqualFunc(t.columns(old, x), t.columns(row, x), func(a, b Value) bool { return value.Compare(a, b) == 0 })
	})
	return u.conflict(row)
}

func (r *randomRun) delete(t *modelTable, rows *Rows, k modelKey, exists, prefix bool) error {
	before := r.state.clone()
	name := t.def.Name
	var got error
	fine := true
	if prefix {
		_, got = rows.DeleteRange(Prefix(k.a))
		for b := range uint64(6) {
			if t.def.Key[1].Descending { // the order decides what is met first
				b = 5 - b
			}
			fine = fine && r.state.remove(name, modelKey{k.a, b})
		}
	} else {
		got = rows.Delete(k.a, k.b)
		fine = r.state.remove(name, k)
	}
	r.trace("delete %s %v prefix %v: %v", name, k, prefix, got)
	switch {
	case !exists && !prefix:
		if !errors.Is(got, ErrNotFound) {
			r.Errorf("delete of no row: %v", got)
		}
	case fine && got != nil, !fine && !errors.Is(got, ErrReferenced):
		r.Errorf("delete %s %v: %v, want success %v", name, k, got, fine)
	}
	if !fine {
		r.state = before
	}
	return nil
}

// restore goes back with some rows, a table or all.
func (r *randomRun) restore() error {
	j := r.IntN(len(r.versions))
	if r.IntN(2) == 0 {
		j = max(0, len(r.versions)-1-r.IntN(8))
	}
	to, then := r.versions[j], r.past[j]
	if r.IntN(12) == 0 {
		r.trace("restore all to %d", j)
		r.state = then.clone()
		return r.tx.RestoreAll(to)
	}
	t := r.table()
	if t == nil {
		return errGiveUp
	}
	var old *modelTable
	for _, o := range then.tables {
		if o.id == t.id {
			old = o
		}
	}
	if r.IntN(3) == 0 {
		return r.restoreTable(t, old, to, j)
	}
	rows, err := r.tx.Rows(t.def.Name)
	if err != nil {
		return err
	}
	a := uint64(r.IntN(6))
	err = rows.Restore(Prefix(a), to)
	r.trace("restore %s %d to %d: %v", t.def.Name, a, j, err)
	switch {
	case old == nil && err != nil, err != nil && strings.Contains(err.Error(), "of another schema"):
		return errGiveUp
	case err != nil:
		return err
	}
	t.restore(old, func(k modelKey) bool { return k.a == a })
	return nil
}

func (r *randomRun) restoreTable(t, old *modelTable, to engine.Version, j int) error {
	err := r.tx.RestoreTable(t.def.Name, to)
	r.trace("restore table %s to %d: %v", t.def.Name, j, err)
	if err != nil {
		if old == nil || strings.Contains(err.Error(), "dropped") || strings.Contains(err.Error(), "another table of the name") {
			return errGiveUp
		}
		return err
	}
	delete(r.state.tables, t.def.Name)
	back := old.clone()
	r.state.tables[back.def.Name] = back
	// References are by id: names are those of now.
	for _, c := range r.state.tables {
		for i, ref := range c.def.References {
			if ref.Table == t.def.Name {
				c.def.References[i].Table = back.def.Name
			}
		}
	}
	return r.renameReferences(back, j)
}

// renameReferences gives the references of a restored table the present names.
func (r *randomRun) renameReferences(back *modelTable, j int) error {
	for i, ref := range back.def.References {
		parent := r.past[j].tables[ref.Table]
		for name, p := range r.state.tables {
			if parent != nil && p.id == parent.id {
				back.def.References[i].Table = name
			}
		}
	}
	return nil
}

// compare sees that the tables of a version are those of the model.
func (r *randomRun) compare(v engine.Version, want *modelStore) {
	if err := r.compareAt(v, want); err != nil {
		r.Fatalf("at version %x of %d: %v", v, slices.Index(r.versions, v), err)
	}
}

func (r *randomRun) compareAt(v engine.Version, want *modelStore) error {
	return r.db.ViewAt(context.Background(), v, func(tx *Tx) error {
		names, err := tx.Tables()
		if err != nil {
			return err
		}
		names = slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, "catalog.") })
		if !slices.Equal(names, want.names()) {
			r.Errorf("tables %q, want %q", names, want.names())
			return nil
		}
		for _, name := range names {
			if err := r.compareTable(tx, want.tables[name]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *randomRun) compareTable(tx *Tx, want *modelTable) error {
	rows, err := tx.Rows(want.def.Name)
	if err != nil {
		return err
	}
	if lines := Differences(rows.Definition(), &want.def); lines != nil {
		r.Errorf("%s: %s", want.def.Name, strings.Join(lines, "; "))
		return nil
	}
	for _, x := range append([]IndexDef{{Parts: want.def.Key}}, want.def.Indexes...) {
		expected := want.sorted(x)
		span := Span{}
		if r.IntN(3) == 0 {
			span = span.Reverse()
			slices.Reverse(expected)
		}
		var got [][]Value
		err := error(nil)
		for row, e := range rows.Scan(x.Name, span) {
			if err = e; err != nil {
				break
			}
			got = append(got, slices.Clone(row))
		}
		if errors.Is(err, ErrNotReady) {
			continue
		}
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(got, expected) {
			r.Errorf("%s by %s:\n got %v\nwant %v", want.def.Name, x, got, expected)
		}
	}
	return nil
}

// check runs Check. Restores of some rows may have left constraints violated, and
// no other problem.
func (r *randomRun) check() {
	dangling, violated := false, false
	for _, t := range r.now.tables {
		for _, row := range t.rows {
			dangling = dangling || r.now.dangling(t, row, t.def.References...)
			violated = violated || t.violates(row, t.def.Checks...)
		}
	}
	err := r.db.Engine().Check(context.Background(), func(p engine.Problem) { r.Errorf("check of what is stored: %s: %s", p.Where, p.What) })
	if err != nil {
		r.Fatal(err)
	}
	view(r, r.db, func(tx *Tx) error {
		return tx.Check(func(p engine.Problem) {
			switch {
			case dangling && strings.Contains(p.What, "refer to"):
			case violated && strings.Contains(p.What, "is false"):
			case r.anyDoubles() && strings.Contains(p.What, "unique index"):
			default:
				r.Errorf("check: %s: %s", p.Where, p.What)
			}
		})
	})
}
