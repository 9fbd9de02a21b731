package table

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tuplix/tuplix/dbms/table/expr"
	"github.com/tuplix/tuplix/dbms/table/value"
)

// ChangeColumn gives the column of c's name the type of c, of which all values of
// its present type must be values (value.Type.Widens), and has it be null where c
// says so. No row is rewritten: each is read as what it was written as. The
// default stays what it is, and c must have it.
//
// Where keys would have the values in other bytes the column must not be in the
// primary key or an index: those have integers of the same sign, and strings and
// bytes, alike. No reference may have the column, nor a check or the condition of
// an index, unless both types are integers: drop them before, and add them after.
func (t *Tx) ChangeColumn(table string, c ColumnDef) error {
	return t.change(table, func(s *schema) error {
		i := s.position(c.Name)
		if i < 0 {
			return fmt.Errorf("there is no column %s", c.Name)
		}
		d := s.definition()
		d.Columns[i] = c
		if err := firstError(d.normalize(), t.mayChange(s, &s.cols[i], &d.Columns[i])); err != nil {
			return fmt.Errorf("column %s cannot be changed: %w", c.Name, err)
		}
		row := s.tableRow()
		if err := t.nextVersion(row); err != nil {
			return err
		}
		to := s.cols[i]
		to.former = append(slices.Clone(to.former), former{typ: to.Type, nullable: to.Nullable, until: row.Version})
		to.ColumnDef = d.Columns[i]
		return firstError(catColumns.Update(t, s.columnRow(&to)), t.reload(s.id))
	})
}

// mayChange says what is against a change of a column.
func (t *Tx) mayChange(s *schema, c *column, to *ColumnDef) error {
	fill, err := value.Widen(c.Default, to.Type)
	sameKeys := c.Type.SameForm(to.Type) && c.Nullable == to.Nullable
	switch {
	case !c.Type.Widens(to.Type):
		return fmt.Errorf("not every %s is a %s; add another column, and copy", c.Type, to.Type)
	case c.Nullable && !to.Nullable:
		return errors.New("rows may have null in it; add another column, and copy")
	case err != nil || fill != to.Default || c.Auto != to.Auto:
		return fmt.Errorf("it is %s, and keeps its default and auto", c)
	case c.keyed > 0 && !sameKeys:
		return errors.New("it is part of the key")
	}
	for _, x := range s.indexes {
		if !sameKeys && slices.ContainsFunc(x.Parts, func(p Part) bool { return p.Column == c.Name }) {
			return fmt.Errorf("index %s has it", x.Name)
		}
	}
	if c.Type == to.Type {
		return nil
	}
	return firstError(t.referenced(s, c), s.conditioned(c, to))
}

// referenced says which reference has a column, on either side.
func (t *Tx) referenced(s *schema, c *column) error {
	for _, r := range s.refs {
		if slices.Contains(r.Columns, c.Name) {
			return fmt.Errorf("reference %s has it", r.Name)
		}
	}
	if in := t.cat.incoming[s.id]; c.keyed > 0 && len(in) > 0 {
		return fmt.Errorf("reference %s of table %s is to it", in[0].Name, t.cat.tables[in[0].child].name)
	}
	return nil
}

// conditioned says which condition names a column and may mean something else for
// another type.
func (s *schema) conditioned(c *column, to *ColumnDef) error {
	integer := func(t Type) bool { return t.Signed() || t.Unsigned() }
	if integer(c.Type) && integer(to.Type) {
		return nil
	}
	names := func(cond string) bool {
		n, err := expr.Parse(cond)
		return err == nil && slices.Contains(n.Columns(), c.Name)
	}
	for _, x := range s.indexes {
		if x.Where != "" && names(x.Where) {
			return fmt.Errorf("the condition of index %s names it", x.Name)
		}
	}
	for _, k := range s.checks {
		if names(k.Cond) {
			return fmt.Errorf("check %s names it", k.Name)
		}
	}
	return nil
}
