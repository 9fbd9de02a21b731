package table

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table/expr"
	"github.com/tuplix/tuplix/dbms/table/value"
)

// The catalog is tables like any other, but for their ids, which are fixed. All
// but the first have the table that they speak of in front of their keys, so
// that what belongs to one table are a few ranges of keys.
var (
	catStore       = system[storeRow]("catalog.store", 1)
	catTables      = system[tableRow]("catalog.tables", 2)
	catColumns     = system[columnRow]("catalog.columns", 3)
	catIndexes     = system[indexRow]("catalog.indexes", 4)
	catConstraints = system[constraintRow]("catalog.constraints", 5)
	catSequences   = system[sequenceRow]("catalog.sequences", 6)
	catJobs        = system[jobRow]("catalog.jobs", 7)
)

// firstTable is the smallest id of a table that is not the catalog's.
const firstTable = 32

// catalogFormat is the version of the rows below. Others are refused.
const catalogFormat = 1

// storeRow is the one row that no restore touches, so that what it numbers is
// never numbered the same again.
type storeRow struct {
	ID     uint8 `table:"key"` // 0
	Format uint32
	Epoch  []byte // changes with the catalog, never to what it was
	Table  uint32 // the last id that was given to a table
	Schema uint32 // the last version that was given to a schema
}

type tableRow struct {
	ID      uint32 `table:"key"`
	Name    string
	Version uint32 // of the schema; no two schemas of any table have the same
	Next    uint32 // id of the next column, index or constraint
}

type columnRow struct {
	Table      uint32 `table:"key"`
	ID         uint32 `table:"key"`
	Name       string
	Type       string
	Nullable   bool
	Default    sql.Null[string] // as a literal
	Auto       bool
	Place      uint32       // in the primary key, from 1; 0: not there
	Descending bool         // there
	Added      uint32       // version of the schema that has it first
	Dropped    uint32       // the first that does not; 0: there is none
	Former     []formerType `table:"json"` // oldest first; since version 2 of this table
}

// formerType is what a column was before it was changed.
type formerType struct {
	Type     string `json:"type"`
	Nullable bool   `json:"nullable,omitempty"`
	Until    uint32 `json:"until"` // the first version of the schema in which it is not
}

type indexRow struct {
	Table   uint32 `table:"key"`
	ID      uint32 `table:"key"`
	Name    string
	Unique  bool
	Columns []indexColumn `table:"json"`
	Where   string        `table:"name=condition"`
	Ready   bool          // it is built, and read
}

type indexColumn struct {
	Column     uint32 `json:"column"`
	Descending bool   `json:"descending,omitempty"`
}

type constraintRow struct {
	Table   uint32 `table:"key"`
	ID      uint32 `table:"key"`
	Name    string
	Cond    string   `table:"name=condition"` // of a check
	Columns []uint32 `table:"json"`           // of a reference
	Parent  uint32   // of a reference: the table referred to
	Cascade bool
}

type sequenceRow struct {
	Table uint32 `table:"key"` // 0: of the store
	Name  string `table:"key"`
	Next  uint64
}

var systemTables []*declaration // in the order of their ids, from 1

func system[T any](name string, id int) *Table[T] {
	t := Declare[T](name)
	systemTables = append(systemTables, t.decl)
	if len(systemTables) != id {
		panic("the tables of the catalog are out of order")
	}
	return t
}

// catalog is all tables as of some version. It is not changed once it is used.
type catalog struct {
	epoch    string
	since    engine.Version // when it came to be, if known
	tables   map[uint32]*schema
	names    map[string]*schema
	incoming map[uint32][]*reference // by the table referred to
}

// bootCatalog has the catalog's own tables only.
var bootCatalog = sync.OnceValues(func() (*catalog, error) {
	c := newCatalog()
	for i, d := range systemTables {
		def, err := d.definition()
		if err != nil {
			return nil, err
		}
		s := newSchema(uint32(i+1), 1, def)
		if d == catColumns.decl {
			s.grow("former")
		}
		if err := s.prepare(); err != nil {
			return nil, err
		}
		c.add(s)
	}
	return c, nil
})

func newCatalog() *catalog {
	return &catalog{tables: make(map[uint32]*schema), names: make(map[string]*schema), incoming: make(map[uint32][]*reference)}
}

func (c *catalog) add(s *schema) {
	c.tables[s.id], c.names[s.name] = s, s
}

func (c *catalog) clone() *catalog {
	return &catalog{epoch: c.epoch, tables: maps.Clone(c.tables), names: maps.Clone(c.names)}
}

// link works out which references come in where.
func (c *catalog) link() {
	c.incoming = make(map[uint32][]*reference)
	for _, id := range slices.Sorted(maps.Keys(c.tables)) {
		for _, r := range c.tables[id].refs {
			c.incoming[r.parent] = append(c.incoming[r.parent], r)
		}
	}
}

// newSchema numbers a definition for the first time. References are the
// caller's.
func newSchema(id, version uint32, d *Definition) *schema {
	s := &schema{id: id, version: version, name: d.Name, next: 1}
	number := func() uint32 { s.next++; return s.next - 1 }
	for _, c := range d.Columns {
		col := column{ColumnDef: c, id: number(), added: version}
		if i := slices.IndexFunc(d.Key, func(p Part) bool { return p.Column == c.Name }); i >= 0 {
			col.keyed, col.descending = uint32(i+1), d.Key[i].Descending
		}
		s.all = append(s.all, col)
	}
	for _, x := range d.Indexes {
		s.indexes = append(s.indexes, &index{IndexDef: x, id: number(), ready: true})
	}
	for _, c := range d.Checks {
		s.checks = append(s.checks, check{CheckDef: c, id: number()})
	}
	return s
}

// catalog returns the tables as this transaction sees them.
//
// Where nobody else changes the store, the newest catalog is in db.current, and
// a transaction uses it if it reads a state that is not older. A transaction that
// changes the catalog counts itself in db.changing before it takes effect, until
// the changed catalog is in db.current; while there is one, and for interactive
// transactions always, the epoch is read from the store, which also makes those
// conflict with the change. db.changing must be looked at before db.current.
func (t *Tx) catalog() (*catalog, error) {
	if t.cat != nil {
		return t.cat, nil
	}
	quiet := t.db.exclusive && !t.interactive && t.db.changing.Load() == 0
	if quiet {
		// A procedure sees the newest state, so the newest catalog.
		if c := t.db.current.Load(); c != nil && (t.Writable() || c.since <= t.Version()) {
			t.cat = c
			return c, nil
		}
	}
	epoch, found, err := t.epoch()
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, ErrNoCatalog
	}
	c := t.db.knownCatalog(epoch)
	if c == nil {
		if c, err = t.load(epoch); err != nil {
			return nil, err
		}
		t.db.mu.Lock()
		t.db.remember(c)
		t.db.mu.Unlock()
	}
	t.cat = c
	if quiet && t.Writable() {
		err = t.settle()
	}
	return c, err
}

// settle makes the catalog of a transaction that sees the newest state
// db.current.
func (t *Tx) settle() error {
	c := *t.cat
	c.since = t.Version()
	for row, err := range t.raw.History(storeKey()) {
		if err != nil {
			return err
		}
		// After a restore there may have been other catalogs in between.
		if !row.Hidden && row.Restore == nil {
			c.since = row.Version
		}
		break
	}
	t.cat = &c
	t.db.current.CompareAndSwap(nil, &c)
	return nil
}

func storeKey() []byte { return append(indexPrefix(1, rowsIndex), 0) }

// epoch reads the present epoch of the catalog.
func (t *Tx) epoch() (epoch string, found bool, err error) {
	err = t.booting(func() error {
		row, err := catStore.Get(t, 0)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err == nil && row.Format != catalogFormat {
			err = fmt.Errorf("the catalog has format %d; this program knows %d", row.Format, catalogFormat)
		}
		epoch, found = string(row.Epoch), err == nil
		return err
	})
	return epoch, found, err
}

// booting runs fn with the catalog's own tables only.
func (t *Tx) booting(fn func() error) error {
	boot, err := bootCatalog()
	if err != nil {
		return err
	}
	cat := t.cat
	t.cat = boot
	err = fn()
	t.cat = cat
	return err
}

// load reads the whole catalog.
func (t *Tx) load(epoch string) (*catalog, error) {
	c := newCatalog()
	c.epoch = epoch
	err := t.booting(func() error {
		for _, s := range t.cat.tables {
			c.add(s)
		}
		rows, err := collect(catTables.Scan(t, From(firstTable)))
		if err != nil {
			return err
		}
		for _, row := range rows {
			s, err := t.loadTable(row)
			if err != nil {
				return err
			}
			c.add(s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c, c.finish()
}

// catalogSchema is the last version of the schema of any table of the catalog.
const catalogSchema = 2

// grow makes s version 2, in which a column was added. Stores that were made
// before have rows of both.
func (s *schema) grow(name string) {
	s.version = catalogSchema
	s.all[slices.IndexFunc(s.all, func(c column) bool { return c.Name == name })].added = s.version
}

// finish resolves the names of tables referred to.
func (c *catalog) finish() error {
	for _, s := range c.tables {
		for _, r := range s.refs {
			p := c.tables[r.parent]
			if p == nil {
				return corrupt("catalog", fmt.Sprintf("reference %s of table %s is to table %d, which is not there", r.Name, s.name, r.parent))
			}
			if !s.fits(r, p) {
				return corrupt("catalog", fmt.Sprintf("reference %s of table %s is not to the key of %s", r.Name, s.name, p.name))
			}
			r.Table = p.name
		}
	}
	c.link()
	return nil
}

// fits reports whether the columns of a reference make keys of a table.
func (s *schema) fits(r *reference, parent *schema) bool {
	return slices.EqualFunc(r.cols, parent.parts, func(c int, p part) bool {
		form, ok := s.cols[c].Type.Form()
		return ok && form == p.Form
	})
}

func (t *Tx) loadTable(row tableRow) (*schema, error) {
	s := &schema{id: row.ID, version: row.Version, next: row.Next, name: row.Name}
	for c, err := range catColumns.Scan(t, Prefix(row.ID)) {
		if err != nil {
			return nil, err
		}
		col, err := c.column()
		if err != nil {
			return nil, corrupt("catalog, table "+s.name+", column "+c.Name, err.Error())
		}
		s.all = append(s.all, col)
	}
	err := t.loadRest(s)
	if err == nil {
		err = s.prepare()
	}
	if err != nil {
		return nil, fmt.Errorf("catalog, table %s: %w", s.name, err)
	}
	return s, nil
}

func (t *Tx) loadRest(s *schema) error {
	names := make(map[uint32]string)
	for _, c := range s.all {
		names[c.id] = c.Name
	}
	for row, err := range catIndexes.Scan(t, Prefix(s.id)) {
		if err != nil {
			return err
		}
		x := &index{IndexDef: IndexDef{Name: row.Name, Unique: row.Unique, Where: row.Where}, id: row.ID, ready: row.Ready}
		for _, c := range row.Columns {
			x.Parts = append(x.Parts, Part{Column: names[c.Column], Descending: c.Descending})
		}
		s.indexes = append(s.indexes, x)
	}
	for row, err := range catConstraints.Scan(t, Prefix(s.id)) {
		switch {
		case err != nil:
			return err
		case row.Parent == 0:
			s.checks = append(s.checks, check{CheckDef: CheckDef{Name: row.Name, Cond: row.Cond}, id: row.ID})
		default:
			r := &reference{ReferenceDef: ReferenceDef{Name: row.Name, Cascade: row.Cascade}, id: row.ID, child: s.id, parent: row.Parent}
			for _, c := range row.Columns {
				r.Columns = append(r.Columns, names[c])
			}
			s.refs = append(s.refs, r)
		}
	}
	for row, err := range catJobs.Scan(t, Prefix(s.id)) {
		if err != nil {
			return err
		}
		if row.Kind == jobRepair {
			s.jobs = append(s.jobs, row)
		}
	}
	return nil
}

func (c *columnRow) column() (column, error) {
	t, ok := value.TypeOf(c.Type)
	if !ok {
		return column{}, fmt.Errorf("type %q", c.Type)
	}
	col := column{id: c.ID, added: c.Added, dropped: c.Dropped, keyed: c.Place, descending: c.Descending,
		ColumnDef: ColumnDef{Name: c.Name, Type: t, Nullable: c.Nullable, Auto: c.Auto}}
	for _, f := range c.Former {
		was, ok := value.TypeOf(f.Type)
		if !ok || !was.Widens(t) {
			return column{}, fmt.Errorf("type %q, once %q", c.Type, f.Type)
		}
		col.former = append(col.former, former{typ: was, nullable: f.Nullable, until: f.Until})
	}
	switch {
	case c.Default.Valid:
		v, err := expr.ParseLiteral(c.Default.V)
		if err == nil {
			col.Default, err = value.Convert(v, t)
		}
		return col, err
	case col.former != nil:
		first := ColumnDef{Type: col.former[0].typ, Nullable: col.former[0].nullable}
		var err error
		col.first, err = value.Widen(first.fill(), t)
		return col, err
	}
	return col, nil
}

func (s *schema) columnRow(c *column) *columnRow {
	row := &columnRow{Table: s.id, ID: c.id, Name: c.Name, Type: c.Type.String(), Nullable: c.Nullable, Auto: c.Auto,
		Place: c.keyed, Descending: c.descending, Added: c.added, Dropped: c.dropped}
	if !c.Default.IsNull() {
		row.Default = sql.Null[string]{V: c.Default.Literal(), Valid: true}
	}
	for _, f := range c.former {
		row.Former = append(row.Former, formerType{Type: f.typ.String(), Nullable: f.nullable, Until: f.until})
	}
	return row
}

func (s *schema) tableRow() *tableRow {
	return &tableRow{ID: s.id, Name: s.name, Version: s.version, Next: s.next}
}

func (s *schema) indexRow(x *index) *indexRow {
	row := &indexRow{Table: s.id, ID: x.id, Name: x.Name, Unique: x.Unique, Where: x.Where, Ready: x.ready}
	for _, p := range x.Parts {
		row.Columns = append(row.Columns, indexColumn{Column: s.columnID(p.Column), Descending: p.Descending})
	}
	return row
}

func (s *schema) columnID(name string) uint32 {
	if i := slices.IndexFunc(s.all, func(c column) bool { return c.Name == name && c.dropped == 0 }); i >= 0 {
		return s.all[i].id
	}
	return 0
}

// jobRow is a piece of work in the background; see job.go.
type jobRow struct {
	Table    uint32 `table:"key"`
	ID       uint32 `table:"key"`
	Kind     string
	Index    uint32 // to build
	Low      []byte // keys to clear, or rows that were restored
	High     []byte // nil: to the end
	To       []byte // the version restored to
	Before   []byte // the last version before the restore; nil: it is no longer kept
	Position []byte // all keys before it are done
	Done     uint64 // rows
	Problem  string // why it cannot go on
}

func (j *jobRow) span() engine.Range {
	r := engine.Range{Low: j.Low, High: j.High}
	if len(r.High) == 0 {
		r.High = nil
	}
	return r
}

func collect[T any](rows func(func(T, error) bool)) ([]T, error) {
	var out []T
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, nil
}
