package table

import (
	"fmt"
	"slices"
	"unsafe"
)

// AddCheck adds a check to a table. The rows that are there are looked at, all of
// them by this call; it fails with an Error that is ErrCheck, and names the first
// row for which the check is false. Other procedures wait meanwhile, but not for
// an interactive transaction (DB.Begin), whose commit fails with
// engine.ErrConflict if rows were written after they were looked at.
func (t *Tx) AddCheck(table string, c CheckDef) error {
	return t.change(table, func(s *schema) error {
		d := s.definition()
		d.Checks = append(d.Checks, c)
		if err := d.normalize(); err != nil {
			return err
		}
		c = d.Checks[len(d.Checks)-1]
		row := constraintRow{Table: s.id, Name: c.Name, Cond: c.Cond}
		s, err := t.addConstraint(s, &row)
		if err != nil {
			return err
		}
		added := &s.checks[slices.IndexFunc(s.checks, func(c check) bool { return c.id == row.ID })]
		return s.dynamic.each(t, s.rows(), func(row unsafe.Pointer, k, _ []byte) error {
			return s.dynamic.checkOne(added, row, k)
		})
	})
}

// AddReference adds a reference to a table, which must have an index that begins
// with its columns and is ready. As with AddCheck, all rows are looked at; it
// fails with an Error that is ErrReference for the first that refers to no row.
func (t *Tx) AddReference(table string, r ReferenceDef) error {
	return t.change(table, func(s *schema) error {
		d := s.definition()
		d.References = append(d.References, r)
		if err := d.normalize(); err != nil {
			return err
		}
		row, err := t.referenceRow(s, d, r)
		if err == nil {
			s, err = t.addConstraint(s, &row)
		}
		if err != nil {
			return fmt.Errorf("reference %s: %w", r.Name, err)
		}
		added := s.refs[slices.IndexFunc(s.refs, func(r *reference) bool { return r.id == row.ID })]
		if s.indexFor(added) == nil {
			return fmt.Errorf("reference %s: %w", r.Name, ErrNotReady)
		}
		b := s.dynamic
		return b.each(t, s.rows(), func(row unsafe.Pointer, k, _ []byte) error {
			k = slices.Clone(k)
			if err := b.checkReference(t, added, row, nil, k); err != nil {
				return fmt.Errorf("row %s: %w", b.keyName(k[len(b.prefix):]), err)
			}
			return nil
		})
	})
}

// addConstraint numbers and writes a row of the catalog, and returns the table
// with it.
func (t *Tx) addConstraint(s *schema, row *constraintRow) (*schema, error) {
	table := s.tableRow()
	row.ID = table.Next
	table.Next++
	err := firstError(catTables.Update(t, table), catConstraints.Insert(t, row), t.reload(s.id))
	return t.cat.tables[s.id], err
}

// DropConstraint removes a check or a reference.
func (t *Tx) DropConstraint(table, name string) error {
	return t.change(table, func(s *schema) error {
		rows, err := collect(catConstraints.Scan(t, Prefix(s.id)))
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.Name == name {
				return firstError(catConstraints.Delete(t, row.Table, row.ID), t.reload(s.id))
			}
		}
		return fmt.Errorf("there is no check or reference %s", name)
	})
}
