package table

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tuplix/tuplix/dbms/table/expr"
	"github.com/tuplix/tuplix/dbms/table/value"
)

// Type and Value are those of package value, where they have their constants
// and functions.
type (
	Type  = value.Type
	Value = value.Value
)

// Definition is what a table is made of, in the form in which it is compared:
// that of a Go struct with the catalog, and that of one version of the catalog
// with another.
type Definition struct {
	Name       string
	Columns    []ColumnDef
	Key        []Part // the primary key
	Indexes    []IndexDef
	Checks     []CheckDef
	References []ReferenceDef
}

// ColumnDef is a column.
type ColumnDef struct {
	Name     string
	Type     Type
	Nullable bool

	// Default is what the column has in rows that were written before it was
	// added, and where an insert does not name it (as in SQL; a Go struct names
	// all). Null in a column that is not nullable stands for the zero value.
	Default Value

	// Auto has Insert fill in the next number of a sequence where the column is
	// 0. One column of the primary key, an integer of 64 bits, may have it.
	Auto bool
}

// Part is a column of a key or an index.
type Part struct {
	Column     string
	Descending bool
}

// IndexDef is a secondary index. Rows for which Where is not true are not in
// it; "" is true for all. A unique index takes rows with a null in its columns
// any number of times.
type IndexDef struct {
	Name   string
	Parts  []Part
	Unique bool
	Where  string // in the language of package expr
}

// CheckDef is a condition that must not be false for any row.
type CheckDef struct {
	Name string
	Cond string // in the language of package expr
}

// ReferenceDef says that Columns, unless one is null, are the primary key of a
// row of Table. Deleting that row is refused, or with Cascade deletes the rows
// that refer to it.
type ReferenceDef struct {
	Name    string
	Columns []string
	Table   string
	Cascade bool
}

// Limits of a definition.
const (
	MaxColumns = 1000 // of a table, those that were dropped included
	MaxParts   = 32   // of a key or an index
	MaxName    = 64   // bytes
)

func (p Part) String() string {
	if p.Descending {
		return p.Column + " desc"
	}
	return p.Column
}

func (c ColumnDef) String() string {
	s := c.Name + " " + c.Type.String()
	if c.Nullable {
		s += " null"
	}
	if !c.Default.IsNull() {
		s += " default " + c.Default.Literal()
	}
	if c.Auto {
		s += " auto"
	}
	return s
}

func (x IndexDef) String() string {
	s := "index " + x.Name
	if x.Unique {
		s = "unique " + s
	}
	s += " (" + partList(x.Parts) + ")"
	if x.Where != "" {
		s += " where " + x.Where
	}
	return s
}

func (c CheckDef) String() string { return "check " + c.Name + " (" + c.Cond + ")" }

func (r ReferenceDef) String() string {
	s := "reference " + r.Name + " (" + strings.Join(r.Columns, ", ") + ") to " + r.Table
	if r.Cascade {
		s += " cascade"
	}
	return s
}

func partList(parts []Part) string {
	var names []string
	for _, p := range parts {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}

// Differences says, line by line, what one would have to change in have to make
// it want. Order counts in keys, not among columns.
func Differences(have, want *Definition) []string {
	var lines []string
	if a, b := partList(have.Key), partList(want.Key); a != b {
		lines = append(lines, fmt.Sprintf("the key is (%s), declared is (%s)", a, b))
	}
	lines = append(lines, compare(have.Columns, want.Columns, func(c ColumnDef) string { return c.Name }, "column")...)
	lines = append(lines, compare(have.Indexes, want.Indexes, func(x IndexDef) string { return x.Name }, "index")...)
	lines = append(lines, compare(have.Checks, want.Checks, func(c CheckDef) string { return c.Name }, "check")...)
	return append(lines, compare(have.References, want.References, func(r ReferenceDef) string { return r.Name }, "reference")...)
}

func compare[D fmt.Stringer](have, want []D, name func(D) string, what string) []string {
	var lines []string
	find := func(in []D, n string) int { return slices.IndexFunc(in, func(d D) bool { return name(d) == n }) }
	for _, w := range want {
		if i := find(have, name(w)); i < 0 {
			lines = append(lines, fmt.Sprintf("%s %s is missing: %s", what, name(w), w))
		} else if have[i].String() != w.String() {
			lines = append(lines, fmt.Sprintf("%s %s differs: it is %s, declared is %s", what, name(w), have[i], w))
		}
	}
	for _, h := range have {
		if find(want, name(h)) < 0 {
			lines = append(lines, fmt.Sprintf("%s %s is not declared: %s", what, name(h), h))
		}
	}
	return lines
}

// column returns the definition of a column.
func (d *Definition) column(name string) (ColumnDef, bool) {
	i := slices.IndexFunc(d.Columns, func(c ColumnDef) bool { return c.Name == name })
	if i < 0 {
		return ColumnDef{}, false
	}
	return d.Columns[i], true
}

// normalize checks d by itself, without other tables, and brings texts and
// constants to the form in which they are compared.
func (d *Definition) normalize() error {
	if !isTableName(d.Name) {
		return fmt.Errorf("%q is not a name for a table: letters, digits and _ in lower case, in parts joined by dots", d.Name)
	}
	if len(d.Columns) == 0 || len(d.Columns) > MaxColumns {
		return fmt.Errorf("%d columns; a table has 1 to %d", len(d.Columns), MaxColumns)
	}
	seen := make(map[string]bool)
	for i := range d.Columns {
		if err := d.Columns[i].normalize(); err != nil {
			return fmt.Errorf("column %s: %w", d.Columns[i].Name, err)
		}
		if seen[d.Columns[i].Name] {
			return fmt.Errorf("column %s is there twice", d.Columns[i].Name)
		}
		seen[d.Columns[i].Name] = true
	}
	if err := d.checkKey(); err != nil {
		return err
	}
	return d.checkRest()
}

func (d *Definition) checkKey() error {
	if len(d.Key) == 0 {
		return fmt.Errorf("no column of the key: mark its fields with `table:\"key\"`")
	}
	if err := d.checkParts(d.Key); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	autos := 0
	for _, c := range d.Columns {
		if !c.Auto {
			continue
		}
		autos++
		if autos > 1 || !slices.ContainsFunc(d.Key, func(p Part) bool { return p.Column == c.Name }) {
			return fmt.Errorf("column %s: auto is for one column, and of the key", c.Name)
		}
	}
	for _, p := range d.Key {
		if c, _ := d.column(p.Column); c.Nullable {
			return fmt.Errorf("column %s: a column of the key cannot be nullable", c.Name)
		}
	}
	return nil
}

func (d *Definition) checkParts(parts []Part) error {
	if len(parts) == 0 || len(parts) > MaxParts {
		return fmt.Errorf("%d columns; there must be 1 to %d", len(parts), MaxParts)
	}
	for i, p := range parts {
		c, ok := d.column(p.Column)
		if !ok {
			return fmt.Errorf("there is no column %s", p.Column)
		}
		if _, ok := c.Type.Form(); !ok {
			return fmt.Errorf("column %s: a %s cannot be part of a key", p.Column, c.Type)
		}
		if slices.ContainsFunc(parts[:i], func(q Part) bool { return q.Column == p.Column }) {
			return fmt.Errorf("column %s is there twice", p.Column)
		}
	}
	return nil
}

func (d *Definition) checkRest() error {
	seen := make(map[string]bool)
	name := func(n string) error {
		if !expr.IsName(n) || len(n) > MaxName || seen[n] {
			return fmt.Errorf("%q is not a name, or there twice", n)
		}
		seen[n] = true
		return nil
	}
	for i := range d.Indexes {
		x := &d.Indexes[i]
		if err := firstError(name(x.Name), d.checkParts(x.Parts), d.checkCond(&x.Where)); err != nil {
			return fmt.Errorf("index %s: %w", x.Name, err)
		}
	}
	for i := range d.Checks {
		c := &d.Checks[i]
		if err := firstError(name(c.Name), d.checkCond(&c.Cond)); err != nil || c.Cond == "" {
			return fmt.Errorf("check %s: %w", c.Name, err)
		}
	}
	for _, r := range d.References {
		if err := firstError(name(r.Name), d.checkReference(r)); err != nil {
			return fmt.Errorf("reference %s: %w", r.Name, err)
		}
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkCond parses a condition, binds it, and writes it anew.
func (d *Definition) checkCond(text *string) error {
	if *text == "" {
		return nil
	}
	n, err := expr.Parse(*text)
	if err != nil {
		return err
	}
	if _, err := expr.Bind(n, d.lookup); err != nil {
		return err
	}
	*text = n.String()
	return nil
}

func (d *Definition) lookup(name string) (expr.Ref, bool) {
	i := slices.IndexFunc(d.Columns, func(c ColumnDef) bool { return c.Name == name })
	if i < 0 {
		return expr.Ref{}, false
	}
	return expr.Ref{Index: i, Type: d.Columns[i].Type}, true
}

// checkReference sees that the columns exist, and that the rows that refer to
// one row can be found.
func (d *Definition) checkReference(r ReferenceDef) error {
	var parts []Part
	for _, c := range r.Columns {
		parts = append(parts, Part{Column: c})
	}
	if err := d.checkParts(parts); err != nil {
		return err
	}
	if startsWith(d.Key, r.Columns) {
		return nil
	}
	for _, x := range d.Indexes {
		if x.Where == "" && startsWith(x.Parts, r.Columns) {
			return nil
		}
	}
	return fmt.Errorf("add an index that begins with (%s), by which a deletion in %s finds the rows", strings.Join(r.Columns, ", "), r.Table)
}

func startsWith(parts []Part, columns []string) bool {
	if len(parts) < len(columns) {
		return false
	}
	for i, c := range columns {
		if parts[i].Column != c {
			return false
		}
	}
	return true
}

func (c *ColumnDef) normalize() (err error) {
	if !expr.IsName(c.Name) || len(c.Name) > MaxName {
		return fmt.Errorf("not a name: letters, digits and _, in lower case")
	}
	if c.Type == value.Null || c.Type > value.UUID {
		return fmt.Errorf("%s is not a type of columns", c.Type)
	}
	if c.Auto && c.Type != value.Int64 && c.Type != value.Uint64 {
		return fmt.Errorf("auto is for int64 and uint64, not for %s", c.Type)
	}
	if c.Default, err = value.Convert(c.Default, c.Type); err != nil {
		return fmt.Errorf("default: %w", err)
	}
	return nil
}

// fill is what a column has in rows that were written without it.
func (c *ColumnDef) fill() Value {
	if c.Default.IsNull() && !c.Nullable {
		return value.Zero(c.Type)
	}
	return c.Default
}

func isTableName(s string) bool {
	if len(s) > MaxName {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if !expr.IsName(part) {
			return false
		}
	}
	return true
}

func (d *Definition) clone() *Definition {
	e := *d
	e.Columns, e.Key = slices.Clone(d.Columns), slices.Clone(d.Key)
	e.Indexes, e.Checks, e.References = slices.Clone(d.Indexes), slices.Clone(d.Checks), slices.Clone(d.References)
	return &e
}
