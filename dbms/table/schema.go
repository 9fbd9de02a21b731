package table

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table/expr"
	"github.com/tuplix/tuplix/dbms/table/key"
)

// schema is one table as the catalog has it, made ready for use. It is not
// changed after prepare, but for what is kept for later use.
type schema struct {
	id      uint32
	version uint32 // of the rows it writes
	next    uint32 // id of the next column, index or constraint
	name    string

	all     []column // by id, those dropped included
	cols    []column // without those; positions below are of this slice
	parts   []part   // the primary key
	auto    int      // position, or -1
	indexes []*index
	checks  []check
	refs    []*reference
	jobs    []jobRow // restores that are not repaired yet

	prefix  []byte // of the keys of its rows
	dynamic *binding

	mu    sync.Mutex
	bound atomic.Pointer[[]*binding] // by declaration.number
}

type column struct {
	ColumnDef
	id             uint32
	added, dropped uint32   // versions of the schema; 0: not dropped
	keyed          uint32   // place in the primary key from 1, or 0
	descending     bool     // there
	former         []former // oldest first
	first          Value    // if former: what it had, in rows older than it, without a default
}

// former is what a column was in the versions of the schema before until.
type former struct {
	typ      Type
	nullable bool
	until    uint32
}

// as returns what the column is in a version of the schema.
func (c *column) as(version uint32) (typ Type, nullable bool) {
	for _, f := range c.former {
		if version < f.until {
			return f.typ, f.nullable
		}
	}
	return c.Type, c.Nullable
}

// fill is what the column has in rows that were written without it: what it had
// when it was added.
func (c *column) fill() Value {
	if len(c.former) == 0 || !c.Default.IsNull() {
		return c.ColumnDef.fill()
	}
	return c.first
}

// part is a column of a key or an index.
type part struct {
	col int // position
	key.Column
}

type index struct {
	IndexDef
	id     uint32
	parts  []part
	cond   *expr.Cond // nil: always
	ready  bool
	prefix []byte
}

type check struct {
	CheckDef
	id   uint32
	cond *expr.Cond
}

type reference struct {
	ReferenceDef
	id     uint32
	child  uint32 // table
	parent uint32 // table
	cols   []int  // positions in the child, in the order of the parent's key
}

// rowsIndex is the index id of the rows themselves.
const rowsIndex = 0

func indexPrefix(table, index uint32) []byte {
	return key.AppendUint(key.AppendUint(nil, uint64(table)), uint64(index))
}

// prepare works out all that follows from the catalog's rows.
func (s *schema) prepare() error {
	s.prefix = indexPrefix(s.id, rowsIndex)
	s.cols = slices.DeleteFunc(slices.Clone(s.all), func(c column) bool { return c.dropped != 0 })
	s.auto = slices.IndexFunc(s.cols, func(c column) bool { return c.Auto })
	keyed := 0
	for _, c := range s.cols {
		keyed = max(keyed, int(c.keyed))
	}
	places := make(map[uint32]bool)
	for _, c := range s.cols {
		if c.keyed > 0 {
			places[c.keyed] = true
		}
	}
	if len(places) != keyed || keyed == 0 {
		return corrupt("key", "a column of it is missing")
	}
	s.parts = make([]part, keyed)
	for i, c := range s.cols {
		if c.keyed > 0 && !s.sortable(c.Name) {
			return corrupt("column "+c.Name, "it cannot be in the key")
		}
		if c.keyed > 0 {
			s.parts[c.keyed-1] = s.part(i, c.descending)
		}
	}
	for _, x := range s.indexes {
		if err := s.prepareIndex(x); err != nil {
			return fmt.Errorf("index %s: %w", x.Name, err)
		}
	}
	for i := range s.checks {
		var err error
		if s.checks[i].cond, err = s.bindCond(s.checks[i].Cond); err != nil {
			return fmt.Errorf("check %s: %w", s.checks[i].Name, err)
		}
	}
	for _, r := range s.refs {
		for _, c := range r.Columns {
			if !s.sortable(c) {
				return corrupt("reference "+r.Name, "it has no column "+c)
			}
			r.cols = append(r.cols, s.position(c))
		}
	}
	s.dynamic = s.bindDynamic()
	return nil
}

// sortable reports whether there is a column that keys can have.
func (s *schema) sortable(name string) bool {
	i := s.position(name)
	if i < 0 {
		return false
	}
	_, ok := s.cols[i].Type.Form()
	return ok
}

func (s *schema) prepareIndex(x *index) (err error) {
	x.prefix = indexPrefix(s.id, x.id)
	for _, p := range x.Parts {
		if !s.sortable(p.Column) {
			return corrupt("column "+p.Column, "it cannot be in an index")
		}
		x.parts = append(x.parts, s.part(s.position(p.Column), p.Descending))
	}
	x.cond, err = s.bindCond(x.Where)
	return err
}

func (s *schema) part(i int, descending bool) part {
	form, _ := s.cols[i].Type.Form()
	return part{col: i, Column: key.Column{Form: form, Nullable: s.cols[i].Nullable, Descending: descending}}
}

func (s *schema) bindCond(text string) (*expr.Cond, error) {
	if text == "" {
		return nil, nil
	}
	n, err := expr.Parse(text)
	if err != nil {
		return nil, err
	}
	return expr.Bind(n, s.definition().lookup)
}

// position returns where a column is in cols, or -1.
func (s *schema) position(name string) int {
	return slices.IndexFunc(s.cols, func(c column) bool { return c.Name == name })
}

func (s *schema) index(name string) *index {
	i := slices.IndexFunc(s.indexes, func(x *index) bool { return x.Name == name })
	if i < 0 {
		return nil
	}
	return s.indexes[i]
}

// primary is the primary key as an index.
func (s *schema) primary() *index {
	return &index{parts: s.parts, prefix: s.prefix, ready: true}
}

// definition shows the schema as one would define it.
func (s *schema) definition() *Definition {
	d := &Definition{Name: s.name}
	for _, c := range s.cols {
		d.Columns = append(d.Columns, c.ColumnDef)
	}
	for _, p := range s.parts {
		d.Key = append(d.Key, Part{Column: s.cols[p.col].Name, Descending: p.Descending})
	}
	for _, x := range s.indexes {
		d.Indexes = append(d.Indexes, x.IndexDef)
	}
	for _, c := range s.checks {
		d.Checks = append(d.Checks, c.CheckDef)
	}
	for _, r := range s.refs {
		d.References = append(d.References, r.ReferenceDef)
	}
	return d
}

// rows is the range of the keys of all rows.
func (s *schema) rows() engine.Range { return engine.PrefixRange(s.prefix) }

// unrepaired returns the restore that row key lies in and that is not repaired
// yet, if any.
func (s *schema) unrepaired(row []byte) bool {
	for i := range s.jobs {
		if s.jobs[i].span().Contains(row) {
			return true
		}
	}
	return false
}

// inherits reports whether rows written under old can be read under s: s must
// have come from old by evolution. It says why not.
func (s *schema) inherits(old *schema) error {
	for _, c := range old.all {
		i := slices.IndexFunc(s.all, func(d column) bool { return d.id == c.id })
		if i < 0 {
			return fmt.Errorf("column %s was of another schema of the table", c.Name)
		}
		d := s.all[i]
		typ, nullable := d.as(old.version)
		if d.added != c.added || typ != c.Type || nullable != c.Nullable || c.dropped != 0 && d.dropped != c.dropped ||
			len(d.former) < len(c.former) || !slices.Equal(d.former[:len(c.former)], c.former) {
			return fmt.Errorf("column %s was of another schema of the table", c.Name)
		}
	}
	return nil
}
