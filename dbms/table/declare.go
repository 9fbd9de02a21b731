package table

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/tuplix/tuplix/dbms/table/expr"
	"github.com/tuplix/tuplix/dbms/table/value"
)

// Table is a table whose rows are Ts. It is declared once, usually as a variable
// of a package, and used with any number of stores. Its reading methods go by the
// primary key.
type Table[T any] struct {
	reader[T]
}

// Index is a secondary index of a Table[T]; its methods find rows by it.
type Index[T any] struct {
	reader[T]
}

// reader finds rows by an index, or the primary key if name is "".
type reader[T any] struct {
	decl *declaration
	name string
}

// Declared is a Table[T] of any T.
type Declared interface{ declared() *declaration }

func (t *Table[T]) declared() *declaration { return t.decl }

// declaration is a Table without its type.
type declaration struct {
	number int // of all declarations of the program
	goType reflect.Type
	fields []field
	faults []error

	former []string // names of indexes that it had

	mu     sync.Mutex
	sealed bool
	def    Definition
}

var declarations atomic.Int64

// Declare makes a table of a struct. Its exported fields are the columns, named
// as in SQL (ParentID is parent_id). A tag changes that:
//
//	ID   uint64 `table:"key"`             part of the primary key, in the order of the fields
//	At   time.Time `table:"key,desc"`     descending there
//	ID   uint64 `table:"key,auto"`        numbered by Insert where it is 0
//	Size int64 `table:"name=bytes"`       another name
//	Mode uint32 `table:"default=420"`     a default, as in package expr: text in quotes
//	Meta map[string]string `table:"json"` any Go type, kept as JSON
//	temp int `table:"-"`                  no column
//
// The types are bool, integers, float64, decimal.Decimal (of shopspring), string,
// []byte, time.Time (cut to microseconds, UTC), time.Duration, [16]byte and types
// made of it such as google/uuid's, json.RawMessage, and sql.Null[T] of each for
// those that can be null. A struct embedded without a tag adds its fields.
//
// What is wrong with a declaration is told by Open, and by every use of it.
func Declare[T any](name string) *Table[T] {
	return &Table[T]{reader[T]{decl: declare(name, reflect.TypeFor[T]())}}
}

// declare is Declare, once for all types: a program has dozens of tables, and each
// would have its own copy of this to run at each start.
func declare(name string, row reflect.Type) *declaration {
	d := &declaration{number: int(declarations.Add(1)) - 1, goType: row, def: Definition{Name: name}}
	if d.goType.Kind() != reflect.Struct {
		d.faults = append(d.faults, fmt.Errorf("table %s: %s is not a struct", name, d.goType))
		return d
	}
	d.fields = fieldsOf(d.goType, func(path, why string) {
		d.faults = append(d.faults, fmt.Errorf("table %s, field %s: %s", name, path, why))
	})
	for _, f := range d.fields {
		d.def.Columns = append(d.def.Columns, f.ColumnDef)
		if f.key {
			d.def.Key = append(d.def.Key, Part{Column: f.Name, Descending: f.desc})
		}
	}
	return d
}

// Index declares a secondary index. A column is its name, or "name desc".
func (t *Table[T]) Index(name string, columns ...string) *Index[T] {
	return t.addIndex(IndexDef{Name: name}, columns)
}

// Unique declares an index of which no two rows have the same values; nulls are
// never the same.
func (t *Table[T]) Unique(name string, columns ...string) *Index[T] {
	return t.addIndex(IndexDef{Name: name, Unique: true}, columns)
}

func (t *Table[T]) addIndex(x IndexDef, columns []string) *Index[T] {
	t.decl.addIndex(x, columns)
	return &Index[T]{reader[T]{decl: t.decl, name: x.Name}}
}

func (d *declaration) addIndex(x IndexDef, columns []string) {
	for _, c := range columns {
		column, desc := strings.CutSuffix(c, " desc")
		x.Parts = append(x.Parts, Part{Column: column, Descending: desc})
	}
	d.edit(func(d *Definition) { d.Indexes = append(d.Indexes, x) })
}

// Where has the index hold only rows for which the condition is true.
func (x *Index[T]) Where(cond string) *Index[T] {
	x.decl.addWhere(x.name, cond)
	return x
}

func (d *declaration) addWhere(index, cond string) {
	d.edit(func(def *Definition) {
		i := slices.IndexFunc(def.Indexes, func(y IndexDef) bool { return y.Name == index })
		if i < 0 {
			d.faults = append(d.faults, fmt.Errorf("table %s: the primary key has all rows", def.Name))
			return
		}
		def.Indexes[i].Where = cond
	})
}

// Had names indexes that the table was declared with once. Those that a store still has
// are dropped when it is opened.
func (t *Table[T]) Had(indexes ...string) *Table[T] {
	t.decl.edit(func(*Definition) { t.decl.former = append(t.decl.former, indexes...) })
	return t
}

// outdated returns the indexes of the stored table that are no longer declared.
func (d *declaration) outdated(c *catalog) (names []string) {
	s := c.names[d.def.Name]
	if s == nil {
		return nil
	}
	for _, name := range d.former {
		if s.index(name) != nil {
			names = append(names, name)
		}
	}
	return names
}

// Check declares a condition that must not be false for any row.
func (t *Table[T]) Check(name, cond string) *Table[T] {
	t.decl.addCheck(CheckDef{Name: name, Cond: cond})
	return t
}

func (d *declaration) addCheck(c CheckDef) {
	d.edit(func(d *Definition) { d.Checks = append(d.Checks, c) })
}

// Refer declares that the columns, unless one of them is null, are the primary
// key of a row of another table, or of this one. Such a row cannot be deleted
// while there are rows that refer to it.
func (t *Table[T]) Refer(name string, to Declared, columns ...string) *Table[T] {
	return t.addReference(ReferenceDef{Name: name, Columns: columns, Table: to.declared().def.Name})
}

// Cascade is Refer, but deleting the row deletes those that refer to it.
func (t *Table[T]) Cascade(name string, to Declared, columns ...string) *Table[T] {
	return t.addReference(ReferenceDef{Name: name, Columns: columns, Table: to.declared().def.Name, Cascade: true})
}

func (t *Table[T]) addReference(r ReferenceDef) *Table[T] {
	t.decl.addReference(r)
	return t
}

func (d *declaration) addReference(r ReferenceDef) {
	d.edit(func(d *Definition) { d.References = append(d.References, r) })
}

// Name returns the name of the table.
func (x *reader[T]) Name() string { return x.decl.def.Name }

// Definition returns what was declared, or what is wrong with it.
func (t *Table[T]) Definition() (*Definition, error) {
	d, err := t.decl.definition()
	if err != nil {
		return nil, err
	}
	return d.clone(), nil
}

// New returns a row with the defaults of its columns.
func (t *Table[T]) New() (row T) {
	for _, f := range t.decl.fields {
		if d, err := value.Convert(f.Default, f.Type); err == nil && !d.IsNull() {
			// A constant of the right type can be set.
			_ = f.slot.set(unsafe.Pointer(&row), d)
		}
	}
	return row
}

// edit changes the definition before its first use.
func (d *declaration) edit(fn func(*Definition)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sealed {
		d.faults = append(d.faults, fmt.Errorf("table %s: declared further after its first use", d.def.Name))
		return
	}
	fn(&d.def)
}

// definition seals the declaration and returns it. It must not be changed.
func (d *declaration) definition() (*Definition, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.sealed {
		d.sealed = true
		if len(d.faults) == 0 {
			if err := d.def.normalize(); err != nil {
				d.faults = append(d.faults, fmt.Errorf("table %s: %w", d.def.Name, err))
			}
		}
	}
	if err := errors.Join(d.faults...); err != nil {
		return nil, err
	}
	return &d.def, nil
}

// bindingOf returns the binding of a declaration to a schema, after comparing
// the two for the first time.
func (s *schema) bindingOf(d *declaration) (*binding, error) {
	if known := s.bound.Load(); known != nil && d.number < len(*known) {
		if b := (*known)[d.number]; b != nil {
			return b, nil
		}
	}
	def, err := d.definition()
	if err != nil {
		return nil, err
	}
	if lines := Differences(s.definition(), def); lines != nil {
		return nil, &DifferenceError{Table: s.name, Lines: lines}
	}
	slots := make([]slot, len(s.cols))
	for _, f := range d.fields {
		slots[s.position(f.Name)] = f.slot
	}
	return s.keep(d.number, slots), nil
}

// keep makes the binding known to later calls.
func (s *schema) keep(number int, slots []slot) *binding {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*binding
	if known := s.bound.Load(); known != nil {
		all = slices.Clone(*known)
	}
	for len(all) <= number {
		all = append(all, nil)
	}
	if all[number] == nil {
		all[number] = s.bind(slots)
	}
	s.bound.Store(&all)
	return all[number]
}

func parseDefault(text string, t Type) (Value, error) {
	v, err := expr.ParseLiteral(text)
	if err == nil {
		v, err = value.Convert(v, t)
	}
	if err != nil {
		return Value{}, fmt.Errorf("its default: %w", err)
	}
	return v, nil
}
