package table

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tuplix/tuplix/dbms/table/value"
)

// changed is a column with a type that holds all of its values.
func (r *randomRun) changed(c ColumnDef) ColumnDef {
	var to []Type
	for t := value.Bool; t <= value.UUID; t++ {
		if c.Type.Widens(t) {
			to = append(to, t)
		}
	}
	c.Type = to[r.IntN(len(to))]
	c.Default = widened(c.Default, c.Type)
	c.Nullable = c.Nullable || r.IntN(3) == 0
	return c
}

// addCheck adds a check, which must be refused just if a row violates it.
func (r *randomRun) addCheck(t *modelTable) (string, error) {
	i := slices.IndexFunc(t.def.Columns, func(c ColumnDef) bool { return c.Type.Signed() })
	if i < 0 {
		return "nothing", nil
	}
	c := CheckDef{Name: fmt.Sprintf("k%d", r.id()), Cond: fmt.Sprintf("%s >= %d", t.def.Columns[i].Name, r.IntN(3)-2)}
	violated := false
	for _, row := range t.rows {
		violated = violated || t.violates(row, c)
	}
	err := r.tx.AddCheck(t.def.Name, c)
	if violated != errors.Is(err, ErrCheck) || violated != (err != nil) {
		r.Errorf("%s, violated %v: %v", c, violated, err)
	}
	t.def.Checks = append(t.def.Checks, c)
	return "add " + c.String(), err
}

// addReference adds a reference to any table, which must be refused if a row
// refers to none.
func (r *randomRun) addReference(t *modelTable) (string, error) {
	var columns []string
	for _, x := range t.def.Indexes {
		if len(x.Parts) >= 2 && x.Where == "" {
			columns = []string{x.Parts[0].Column, x.Parts[1].Column}
		}
	}
	if columns == nil {
		return "nothing", nil
	}
	ref := ReferenceDef{Name: fmt.Sprintf("f%d", r.id()), Columns: columns, Table: r.table().def.Name, Cascade: r.IntN(3) > 0}
	err := r.tx.AddReference(t.def.Name, ref)
	if err == nil || errors.Is(err, ErrReference) {
		dangling := false
		for _, row := range t.rows {
			dangling = dangling || r.state.dangling(t, row, ref)
		}
		if dangling != (err != nil) {
			r.Errorf("%s, dangling %v: %v", ref, dangling, err)
		}
	}
	t.def.References = append(t.def.References, ref)
	return "add " + ref.String(), err
}

func (r *randomRun) dropConstraint(t *modelTable) (string, error) {
	checks := len(t.def.Checks)
	n := checks + len(t.def.References)
	if n == 0 {
		return "nothing", nil
	}
	i := r.IntN(n)
	var name string
	if i < checks {
		name = t.def.Checks[i].Name
		t.def.Checks = slices.Delete(t.def.Checks, i, i+1)
	} else {
		name = t.def.References[i-checks].Name
		t.def.References = slices.Delete(t.def.References, i-checks, i-checks+1)
	}
	return "drop constraint " + name, r.tx.DropConstraint(t.def.Name, name)
}
