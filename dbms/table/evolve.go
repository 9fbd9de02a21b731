package table

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table/expr"
	"github.com/tuplix/tuplix/dbms/txn"
)

// Create makes those of the tables that are not there, drops the indexes that others had
// once (Table.Had), and fails with a DifferenceError for those that are different then.
func (t *Tx) Create(tables ...Declared) error {
	var missing []*Definition
	for _, table := range tables {
		if err := t.dropOutdated(table.declared()); err != nil {
			return err
		}
		def, err := table.declared().definition()
		if err == nil {
			_, err = t.bind(table.declared())
		}
		switch {
		case errors.Is(err, ErrNoTable):
			missing = append(missing, def)
		case err != nil:
			return err
		}
	}
	return t.createAll(missing)
}

func (t *Tx) dropOutdated(d *declaration) error {
	c, err := t.catalog()
	if err != nil {
		return err
	}
	for _, name := range d.outdated(c) {
		if err := t.DropIndex(d.def.Name, name); err != nil {
			return err
		}
	}
	return nil
}

// createAll creates tables after those that they refer to.
func (t *Tx) createAll(defs []*Definition) error {
	for len(defs) > 0 {
		i := slices.IndexFunc(defs, func(d *Definition) bool {
			return !slices.ContainsFunc(d.References, func(r ReferenceDef) bool {
				return r.Table != d.Name && slices.ContainsFunc(defs, func(e *Definition) bool { return e.Name == r.Table })
			})
		})
		if i < 0 {
			return fmt.Errorf("table %s: tables refer to each other in a circle, so none can be created first", defs[0].Name)
		}
		if err := t.CreateTable(*defs[i]); err != nil {
			return err
		}
		defs = slices.Delete(slices.Clone(defs), i, i+1)
	}
	return nil
}

// CreateTable makes a table.
func (t *Tx) CreateTable(d Definition) error {
	def := d.clone()
	return t.alter(d.Name, func() error {
		if err := def.normalize(); err != nil {
			return err
		}
		if t.cat.names[def.Name] != nil {
			return errors.New("there is a table of this name")
		}
		id, err := t.newTable()
		if err != nil {
			return err
		}
		version, err := t.newVersion()
		if err != nil {
			return err
		}
		s := newSchema(id, version, def)
		refs, err := t.referenceRows(s, def)
		if err != nil {
			return err
		}
		return firstError(t.store(s), insertAll(t, catConstraints, refs), t.reload(s.id))
	})
}

// store writes the rows of a new table, without its references.
func (t *Tx) store(s *schema) error {
	if err := catTables.Insert(t, s.tableRow()); err != nil {
		return err
	}
	for i := range s.all {
		if err := catColumns.Insert(t, s.columnRow(&s.all[i])); err != nil {
			return err
		}
	}
	for _, x := range s.indexes {
		if err := catIndexes.Insert(t, s.indexRow(x)); err != nil {
			return err
		}
	}
	for _, c := range s.checks {
		if err := catConstraints.Insert(t, &constraintRow{Table: s.id, ID: c.id, Name: c.Name, Cond: c.Cond}); err != nil {
			return err
		}
	}
	return nil
}

func insertAll[T any](t *Tx, table *Table[T], rows []T) error {
	for i := range rows {
		if err := table.Insert(t, &rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// referenceRows resolves the references of a new table.
func (t *Tx) referenceRows(s *schema, d *Definition) (rows []constraintRow, err error) {
	for _, r := range d.References {
		row, err := t.referenceRow(s, d, r)
		if err != nil {
			return nil, fmt.Errorf("reference %s: %w", r.Name, err)
		}
		row.ID = s.next
		s.next++
		rows = append(rows, row)
	}
	return rows, nil
}

// referenceRow resolves a reference of a table, s, that is or is to be defined as
// d. Its ID is the caller's.
func (t *Tx) referenceRow(s *schema, d *Definition, r ReferenceDef) (constraintRow, error) {
	row := constraintRow{Table: s.id, Name: r.Name, Parent: s.id, Cascade: r.Cascade}
	parent := d
	if r.Table != d.Name {
		p := t.cat.names[r.Table]
		if p == nil {
			return row, fmt.Errorf("%w: %s", ErrNoTable, r.Table)
		}
		row.Parent, parent = p.id, p.definition()
	}
	if len(r.Columns) != len(parent.Key) {
		return row, fmt.Errorf("%d columns for the key (%s) of %s", len(r.Columns), partList(parent.Key), r.Table)
	}
	for i, name := range r.Columns {
		c, _ := d.column(name)
		if p, _ := parent.column(parent.Key[i].Column); p.Type != c.Type {
			return row, fmt.Errorf("column %s is %s, %s of %s is %s", name, c.Type, p.Name, r.Table, p.Type)
		}
		row.Columns = append(row.Columns, s.columnID(name))
	}
	return row, nil
}

// alter runs a change of the catalog. If it fails, nothing is changed.
func (t *Tx) alter(table string, fn func() error) error {
	if !t.Writable() {
		return txn.ErrReadOnly
	}
	if _, err := t.catalog(); err != nil {
		return err
	}
	mark := t.Savepoint()
	t.begin()
	c := t.cat.clone()
	c.epoch = t.newEpoch()
	c.link()
	t.cat = c
	row, err := catStore.Get(t, 0)
	if err == nil {
		row.Epoch = []byte(c.epoch)
		err = catStore.Update(t, &row)
	}
	if err == nil {
		err = fn()
	}
	if err != nil {
		t.RollbackTo(mark)
		return fmt.Errorf("table %s: %w", table, err)
	}
	return nil
}

// begin counts the transaction among those that change the catalog.
func (t *Tx) begin() {
	if !t.changed {
		t.changed = true
		t.db.changing.Add(1)
	}
}

// newEpoch names the catalog after the version that the change builds on: no two
// changes that take effect build on the same.
func (t *Tx) newEpoch() string { return "after " + string(t.Version()) }

// reload reads tables anew. Those that are not there any more go.
func (t *Tx) reload(ids ...uint32) error {
	c := t.cat.clone()
	for _, id := range ids {
		if old := c.tables[id]; old != nil {
			delete(c.tables, id)
			delete(c.names, old.name)
		}
	}
	for _, id := range ids {
		row, err := catTables.Get(t, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if other := c.names[row.Name]; other != nil {
			return fmt.Errorf("there is another table of the name %s", row.Name)
		}
		s, err := t.loadTable(row)
		if err != nil {
			return err
		}
		c.add(s)
	}
	if err := c.finish(); err != nil {
		return err
	}
	t.cat = c
	return nil
}

// change runs fn on the schema of a table that is not the catalog's.
func (t *Tx) change(name string, fn func(*schema) error) error {
	return t.alter(name, func() error {
		s := t.cat.names[name]
		switch {
		case s == nil:
			return ErrNoTable
		case s.id < firstTable:
			return errors.New("it is a table of the catalog")
		}
		return fn(s)
	})
}

// DropTable removes a table. Its rows are cleared in the background; a restore
// to a version before brings all of it back.
func (t *Tx) DropTable(name string) error {
	return t.change(name, func(s *schema) error {
		for _, r := range t.cat.incoming[s.id] {
			if r.child != s.id {
				return fmt.Errorf("table %s refers to it by %s", t.cat.tables[r.child].name, r.Name)
			}
		}
		for _, drop := range []func() (int, error){
			func() (int, error) { return catColumns.DeleteRange(t, Prefix(s.id)) },
			func() (int, error) { return catIndexes.DeleteRange(t, Prefix(s.id)) },
			func() (int, error) { return catConstraints.DeleteRange(t, Prefix(s.id)) },
			func() (int, error) { return catSequences.DeleteRange(t, Prefix(s.id)) },
			func() (int, error) { return catJobs.DeleteRange(t, Prefix(s.id)) },
		} {
			if _, err := drop(); err != nil {
				return err
			}
		}
		if err := catTables.Delete(t, s.id); err != nil {
			return err
		}
		return firstError(t.addJob(jobRow{Table: s.id, Kind: jobClear}, s.everything()), t.reload(s.id))
	})
}

// RenameTable gives a table another name.
func (t *Tx) RenameTable(from, to string) error {
	return t.change(from, func(s *schema) error {
		if !isTableName(to) || t.cat.names[to] != nil {
			return fmt.Errorf("%q is not a name, or that of a table that there is", to)
		}
		row := s.tableRow()
		row.Name = to
		if err := catTables.Update(t, row); err != nil {
			return err
		}
		ids := []uint32{s.id}
		for _, r := range t.cat.incoming[s.id] {
			ids = append(ids, r.child)
		}
		slices.Sort(ids)
		return t.reload(slices.Compact(ids)...)
	})
}

// AddColumn adds a column. Rows that are there have its default in it.
func (t *Tx) AddColumn(table string, c ColumnDef) error {
	return t.change(table, func(s *schema) error {
		d := s.definition()
		d.Columns = append(d.Columns, c)
		if err := d.normalize(); err != nil {
			return err
		}
		if len(s.all) >= MaxColumns {
			return fmt.Errorf("it has had %d columns, which is the most", len(s.all))
		}
		row := s.tableRow()
		col := column{ColumnDef: d.Columns[len(d.Columns)-1], id: s.next}
		row.Next++
		if err := t.nextVersion(row); err != nil {
			return err
		}
		col.added = row.Version
		return firstError(catColumns.Insert(t, s.columnRow(&col)), t.reload(s.id))
	})
}

// nextVersion gives a table's schema a new version, and writes its row.
func (t *Tx) nextVersion(row *tableRow) error {
	version, err := t.newVersion()
	if err != nil {
		return err
	}
	row.Version = version
	return catTables.Update(t, row)
}

// DropColumn removes a column, which must not be in the key, an index, a check
// or a reference.
func (t *Tx) DropColumn(table, name string) error {
	return t.change(table, func(s *schema) error {
		d := s.definition()
		if s.position(name) < 0 {
			return fmt.Errorf("there is no column %s", name)
		}
		d.Columns = slices.DeleteFunc(d.Columns, func(c ColumnDef) bool { return c.Name == name })
		if err := d.normalize(); err != nil {
			return fmt.Errorf("column %s is needed: %w", name, err)
		}
		row := s.tableRow()
		if err := t.nextVersion(row); err != nil {
			return err
		}
		col, err := catColumns.Get(t, s.id, s.columnID(name))
		if err != nil {
			return err
		}
		col.Dropped = row.Version
		return firstError(catColumns.Update(t, &col), t.reload(s.id))
	})
}

// RenameColumn gives a column another name, in conditions too.
func (t *Tx) RenameColumn(table, from, to string) error {
	return t.change(table, func(s *schema) error {
		if s.position(from) < 0 || s.position(to) >= 0 || !expr.IsName(to) || len(to) > MaxName {
			return fmt.Errorf("column %s cannot be renamed to %q: it must be there, and that a name that no column has", from, to)
		}
		col, err := catColumns.Get(t, s.id, s.columnID(from))
		if err != nil {
			return err
		}
		col.Name = to
		if err := catColumns.Update(t, &col); err != nil {
			return err
		}
		return firstError(t.renameInConds(s, from, to), t.reload(s.id))
	})
}

func (t *Tx) renameInConds(s *schema, from, to string) error {
	for _, x := range s.indexes {
		row := s.indexRow(x)
		cond, err := renamed(row.Where, from, to)
		if err != nil || cond == row.Where {
			continue
		}
		row.Where = cond
		if err := catIndexes.Update(t, row); err != nil {
			return err
		}
	}
	for _, c := range s.checks {
		cond, err := renamed(c.Cond, from, to)
		if err != nil {
			return err
		}
		if err := catConstraints.Update(t, &constraintRow{Table: s.id, ID: c.id, Name: c.Name, Cond: cond}); err != nil {
			return err
		}
	}
	return nil
}

func renamed(cond, from, to string) (string, error) {
	if cond == "" {
		return "", nil
	}
	n, err := expr.Parse(cond)
	if err != nil {
		return "", err
	}
	return n.Rename(from, to).String(), nil
}

// AddIndex adds an index. If the table has rows it is built in the background
// (DB.Work) and cannot be read before it is ready; what is written meanwhile
// keeps to it already.
func (t *Tx) AddIndex(table string, x IndexDef) error {
	return t.change(table, func(s *schema) error {
		d := s.definition()
		d.Indexes = append(d.Indexes, x)
		if err := d.normalize(); err != nil {
			return err
		}
		rows := t.raw.Scan(s.rows(), engine.ScanOptions{Limit: 1})
		empty := !rows.Next()
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		added := &index{IndexDef: d.Indexes[len(d.Indexes)-1], id: s.next, ready: empty}
		row := s.tableRow()
		row.Next++
		err := firstError(catTables.Update(t, row), catIndexes.Insert(t, s.indexRow(added)))
		if err == nil && !empty {
			err = t.addJob(jobRow{Table: s.id, Kind: jobBuild, Index: added.id}, engine.Range{})
		}
		return firstError(err, t.reload(s.id))
	})
}

// DropIndex removes an index. Its entries are cleared in the background.
func (t *Tx) DropIndex(table, name string) error {
	return t.change(table, func(s *schema) error {
		x := s.index(name)
		if x == nil {
			return fmt.Errorf("there is no index %s", name)
		}
		if err := catIndexes.Delete(t, s.id, x.id); err != nil {
			return err
		}
		jobs, err := collect(catJobs.Scan(t, Prefix(s.id)))
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if j.Kind == jobBuild && j.Index == x.id {
				if err := catJobs.Delete(t, j.Table, j.ID); err != nil {
					return err
				}
			}
		}
		err = firstError(t.addJob(jobRow{Table: s.id, Kind: jobClear}, engine.PrefixRange(x.prefix)), t.reload(s.id))
		for _, r := range t.cat.tables[s.id].refs {
			if err == nil && t.cat.tables[s.id].indexFor(r) == nil {
				err = fmt.Errorf("index %s is needed by reference %s", name, r.Name)
			}
		}
		return err
	})
}

// Tables returns the names of all tables, those of the catalog included.
func (t *Tx) Tables() ([]string, error) {
	c, err := t.catalog()
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(c.names)), nil
}

// Describe returns what a table is made of.
func (t *Tx) Describe(table string) (*Definition, error) {
	s, err := t.table(table)
	if err != nil {
		return nil, err
	}
	return s.definition(), nil
}
