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
	c := &modelTable{id: t.id, def: *t.def.clone(), ids: slices.Clone(t.ids), rows: make(map[modelKey][]Value)}
	for k, row := range t.rows {
		c.rows[k] = slices.Clone(row)
	}
	return c
}

func (s *modelStore) names() []string { return slices.Sorted(maps.Keys(s.tables)) }

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

// in knows the one condition that the test uses: column >= 5.
func (t *modelTable) in(x IndexDef, row []Value) bool {
	if x.Where == "" {
		return true
	}
	var name string
	if _, err := fmt.Sscanf(x.Where, "%s >= 5", &name); err != nil {
		panic(err)
	}
	v := row[t.column(name)]
	return !v.IsNull() && v.Int() >= 5
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
				row[i] = was[j]
			} else {
				row[i] = t.def.Columns[i].fill()
			}
		}
		t.rows[k] = row
	}
}

// dangling reports whether a row refers to one that is not there.
func (s *modelStore) dangling(t *modelTable, row []Value) bool {
	for _, r := range t.def.References {
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
	for _, n := range s.names() {
		c := s.tables[n]
		for _, r := range c.def.References {
			if r.Table != name {
				continue
			}
			for _, ck := range slices.Collect(maps.Keys(c.rows)) {
				row := c.rows[ck]
				if row == nil {
					continue
				}
				a, b := row[c.column(r.Columns[0])], row[c.column(r.Columns[1])]
				if a.IsNull() || b.IsNull() || (modelKey{a.Uint(), b.Uint()}) != k {
					continue
				}
				if !r.Cascade || !s.remove(n, ck) {
					return false
				}
			}
		}
	}
	return true
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
	case t == value.String:
		return value.OfText(t, []string{"", "a", "a\x00", "b", "some longer text"}[r.IntN(5)])
	case t == value.Time:
		return value.OfInt(t, r.Int64N(1<<50))
	}
	v, err := value.Parse(fmt.Sprintf("%d.%d", r.IntN(4)-2, r.IntN(3)), value.Decimal)
	if err != nil {
		panic(err)
	}
	return v
}
