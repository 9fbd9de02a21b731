package table

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/tuplix/tuplix/dbms/table/value"
)

// The model: tables as maps, without any of the means of the real thing.

type modelStore struct {
	tables map[string]*modelTable
}

type modelTable struct {
	id   int
	def  Definition
	ids  []int // of the columns, which stay theirs
	rows map[modelKey][]Value

	fills map[int]Value // by id of a column: what it has in rows that are older than it
}

type modelKey struct{ a, b uint64 }

func (s *modelStore) clone() *modelStore {
	c := &modelStore{tables: make(map[string]*modelTable)}
	for name, t := range s.tables {
		c.tables[name] = t.clone()
	}
	return c
}

func (t *modelTable) clone() *modelTable {
	c := &modelTable{id: t.id, def: *t.def.clone(), ids: slices.Clone(t.ids), rows: make(map[modelKey][]Value), fills: maps.Clone(t.fills)}
	for k, row := range t.rows {
		c.rows[k] = slices.Clone(row)
	}
	return c
}

func (s *modelStore) names() []string { return slices.Sorted(maps.Keys(s.tables)) }

// byAge returns the tables in the order in which they were created.
func (s *modelStore) byAge() []*modelTable {
	return slices.SortedFunc(maps.Values(s.tables), func(a, b *modelTable) int { return a.id - b.id })
}

func keyOfRow(row []Value) modelKey { return modelKey{row[0].Uint(), row[1].Uint()} }

// conflict reports whether another row has the same values of a unique index.
func (t *modelTable) conflict(row []Value) bool {
	for _, x := range t.def.Indexes {
		if !x.Unique {
			continue
		}
		mine := t.columns(row, x)
		if slices.ContainsFunc(mine, Value.IsNull) || !t.in(x, row) {
			continue
		}
		for k, other := range t.rows {
			if k != keyOfRow(row) && t.in(x, other) && slices.Equal(t.columns(other, x), mine) {
				return true
			}
		}
	}
	return false
}

// doubles reports whether rows that were restored violate a unique index.
func (t *modelTable) doubles() bool {
	for _, row := range t.rows {
		if t.conflict(row) {
			return true
		}
	}
	return false
}

func (t *modelTable) column(name string) int {
	return slices.IndexFunc(t.def.Columns, func(c ColumnDef) bool { return c.Name == name })
}

func (t *modelTable) columns(row []Value, x IndexDef) (out []Value) {
	for _, p := range x.Parts {
		out = append(out, row[t.column(p.Column)])
	}
	return out
}

// eval knows the one condition that the test uses: column >= n.
func (t *modelTable) eval(cond string, row []Value) (holds, null bool) {
	var name string
	var n int64
	if _, err := fmt.Sscanf(cond, "%s >= %d", &name, &n); err != nil {
		panic(err)
	}
	v := row[t.column(name)]
	return !v.IsNull() && v.Int() >= n, v.IsNull()
}

func (t *modelTable) in(x IndexDef, row []Value) bool {
	if x.Where == "" {
		return true
	}
	holds, _ := t.eval(x.Where, row)
	return holds
}

// violates reports whether a check is false for a row.
func (t *modelTable) violates(row []Value, checks ...CheckDef) bool {
	return slices.ContainsFunc(checks, func(c CheckDef) bool {
		holds, null := t.eval(c.Cond, row)
		return !holds && !null
	})
}

// change gives a column another type.
func (t *modelTable) change(i int, c ColumnDef) {
	t.def.Columns[i] = c
	t.fills[t.ids[i]] = widened(t.fills[t.ids[i]], c.Type)
	for _, row := range t.rows {
		row[i] = widened(row[i], c.Type)
	}
}

func widened(v Value, to Type) Value {
	v, err := value.Widen(v, to)
	if err != nil {
		panic(err)
	}
	return v
}

// sorted returns the rows of an index in its order.
func (t *modelTable) sorted(x IndexDef) [][]Value {
	var rows [][]Value
	for _, row := range t.rows {
		if t.in(x, row) {
			rows = append(rows, row)
		}
	}
	parts := append(slices.Clone(x.Parts), t.def.Key...)
	slices.SortFunc(rows, func(a, b []Value) int {
		for _, p := range parts {
			i := t.column(p.Column)
			n := value.Compare(a[i], b[i])
			if p.Descending {
				n = -n
			}
			if n != 0 {
				return n
			}
		}
		return 0
	})
	return rows
}

// restore brings rows of an old state back, into the columns of now.
func (t *modelTable) restore(old *modelTable, in func(modelKey) bool) {
	maps.DeleteFunc(t.rows, func(k modelKey, _ []Value) bool { return in(k) })
	for k, was := range old.rows {
		if !in(k) {
			continue
		}
		row := make([]Value, len(t.ids))
		for i, id := range t.ids {
			if j := slices.Index(old.ids, id); j >= 0 {
				row[i] = widened(was[j], t.def.Columns[i].Type)
			} else {
				row[i] = t.fills[id]
			}
		}
		t.rows[k] = row
	}
}

// dangling reports whether a row refers to one that is not there.
func (s *modelStore) dangling(t *modelTable, row []Value, refs ...ReferenceDef) bool {
	for _, r := range refs {
		a, b := row[t.column(r.Columns[0])], row[t.column(r.Columns[1])]
		if a.IsNull() || b.IsNull() {
			continue
		}
		p := s.tables[r.Table]
		if _, ok := p.rows[modelKey{a.Uint(), b.Uint()}]; !ok && !(p == t && keyOfRow(row) == modelKey{a.Uint(), b.Uint()}) {
			return true
		}
	}
	return false
}

// remove deletes a row and what cascades from it. It reports false, and may have
// done half of it, if a reference forbids it.
func (s *modelStore) remove(name string, k modelKey) bool {
	t := s.tables[name]
	if _, ok := t.rows[k]; !ok {
		return true
	}
	delete(t.rows, k)
	for _, c := range s.byAge() {
		for _, r := range c.def.References {
			if r.Table != name {
				continue
			}
			for _, row := range c.referring(r, k) {
				if !r.Cascade || !s.remove(c.def.Name, keyOfRow(row)) {
					return false
				}
			}
		}
	}
	return true
}

// referring returns the rows that refer to a key, in the order of theirs.
func (t *modelTable) referring(r ReferenceDef, k modelKey) [][]Value {
	return slices.DeleteFunc(t.sorted(IndexDef{}), func(row []Value) bool {
		a, b := row[t.column(r.Columns[0])], row[t.column(r.Columns[1])]
		return a.IsNull() || b.IsNull() || (modelKey{a.Uint(), b.Uint()}) != k
	})
}

func randomValue(r *rand.Rand, t Type) Value {
	switch {
	case t.Unsigned():
		return value.OfUint(t, uint64(r.IntN(6)))
	case t.Signed():
		return value.OfInt(t, int64(r.IntN(12)-2))
	case t == value.Bool:
		return value.OfBool(r.IntN(2) == 0)
	case t == value.Float64:
		return value.OfFloat(float64(r.IntN(10)-5) / 4)
	case t == value.String, t == value.Bytes:
		return value.OfText(t, []string{"", "a", "a\x00", "b", "some longer text"}[r.IntN(5)])
	case t == value.JSON:
		return value.OfText(t, []string{"null", "7", `{"a":[]}`}[r.IntN(3)])
	case t == value.Time:
		return value.OfInt(t, r.Int64N(1<<50))
	}
	v, err := value.Parse(fmt.Sprintf("%d.%d", r.IntN(4)-2, r.IntN(3)), value.Decimal)
	if err != nil {
		panic(err)
	}
	return v
}
