package table

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unsafe"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table/expr"
)

// Check reads all tables as the transaction sees them, and reports every
// violation: keys that no table has, rows and entries that do not decode, checks
// and references that do not hold, entries without their row, rows without their
// entry, and unique indexes of which two rows have the same values. The error is
// only about not being able to go on.
func (t *Tx) Check(report func(engine.Problem)) error {
	c, err := t.catalog()
	if err != nil {
		return err
	}
	if err := t.checkStrays(report); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(c.tables)) {
		k := checker{tx: t, b: c.tables[id].dynamic, report: report}
		if err := k.run(); err != nil {
			return fmt.Errorf("check of table %s: %w", k.b.name, err)
		}
	}
	return nil
}

// checker checks one table.
type checker struct {
	tx     *Tx
	b      *binding
	report func(engine.Problem)
	counts map[*index]int // entries that rows should have
}

func (c *checker) problem(k []byte, format string, args ...any) {
	where := "table " + c.b.name
	if k != nil {
		where += ", row " + c.b.keyName(k[len(c.b.prefix):])
	}
	c.report(engine.Problem{Where: where, What: fmt.Sprintf(format, args...)})
}

func (c *checker) run() error {
	c.counts = make(map[*index]int)
	if err := c.rows(); err != nil {
		return err
	}
	for _, x := range c.b.indexes {
		if err := c.index(x); err != nil {
			return err
		}
	}
	return nil
}

// rows decodes every row and looks at what it must have.
func (c *checker) rows() error {
	in := c.tx.raw.Scan(c.b.rows(), engine.ScanOptions{})
	values := make([]Value, len(c.b.cols))
	row := dynamicRow(values)
	for in.Next() {
		k, v := slices.Clone(in.Key()), slices.Clone(in.Value())
		err := c.b.decode(row, k[len(c.b.prefix):], v, nil)
		if errors.Is(err, engine.ErrCorrupt) {
			c.problem(k, "%v", err)
			continue
		}
		if err == nil {
			err = c.row(row, k)
		}
		if err != nil {
			return errors.Join(err, in.Close())
		}
	}
	return errors.Join(in.Err(), in.Close())
}

func (c *checker) row(row unsafe.Pointer, k []byte) error {
	again, err := c.b.appendParts(slices.Clone(c.b.prefix), row, c.b.parts)
	if err != nil || !bytes.Equal(again, k) {
		c.problem(k, "its key is not as its columns are encoded")
	}
	for i := range c.b.checks {
		if ch := &c.b.checks[i]; c.b.eval(ch.cond, row) == expr.False {
			c.problem(k, "check %s (%s) is false", ch.Name, ch.Cond)
		}
	}
	err = c.b.checkReferences(c.tx, row, nil, k)
	var missing *Error
	if errors.As(err, &missing) {
		c.problem(k, "%v", missing)
		err = nil
	}
	for _, x := range c.b.indexes {
		if err == nil {
			err = c.entry(x, row, k)
		}
	}
	return err
}

// entry sees that a row is found by an index.
func (c *checker) entry(x *index, row unsafe.Pointer, k []byte) error {
	e, err := c.b.entryOf(nil, x, row, k)
	if e == nil || err != nil || !x.ready {
		return err
	}
	c.counts[x]++
	if len(c.b.jobs) == 0 {
		v, found, err := c.tx.raw.Get(e)
		switch {
		case err != nil:
			return err
		case !found:
			c.problem(k, "index %s has no entry for it", x.Name)
		case !bytes.Equal(v, c.b.entryValue(x, k)):
			c.problem(k, "index %s has its entry for another row", x.Name)
		}
		return nil
	}
	owners, err := c.b.owners(c.tx, x, e)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(owners, func(o []byte) bool { return bytes.Equal(o, k) }) {
		c.problem(k, "it is not found by index %s", x.Name)
	}
	if x.Unique && len(owners) > 1 {
		c.problem(k, "unique index %s has %d rows with these values", x.Name, len(owners))
	}
	return nil
}

// index counts the entries, and sees that each has its row.
func (c *checker) index(x *index) error {
	in := &stored{b: c.b, x: x, c: c.tx.raw.Scan(engine.PrefixRange(x.prefix), engine.ScanOptions{})}
	n := 0
	for {
		cand, ok, err := in.next()
		if errors.Is(err, engine.ErrCorrupt) {
			c.problem(nil, "%v", err)
			continue
		}
		if err == nil && ok {
			cand.entry, cand.row = slices.Clone(cand.entry), slices.Clone(cand.row)
			n++
			err = c.owner(x, cand)
		}
		if err != nil || !ok {
			err = errors.Join(err, in.close())
			if err == nil && x.ready && len(c.b.jobs) == 0 && n != c.counts[x] {
				c.problem(nil, "index %s has %d entries for %d rows", x.Name, n, c.counts[x])
			}
			return err
		}
	}
}

// owner sees that the row of an entry has it.
func (c *checker) owner(x *index, cand candidate) error {
	if len(c.b.jobs) > 0 && c.b.unrepaired(cand.row) {
		return nil
	}
	values := make([]Value, len(c.b.cols))
	found, err := c.b.read(c.tx, dynamicRow(values), cand.row)
	if err != nil {
		if errors.Is(err, engine.ErrCorrupt) {
			return nil // reported with the rows
		}
		return err
	}
	if !found {
		c.problem(cand.row, "index %s has an entry for it, but there is no such row", x.Name)
		return nil
	}
	e, err := c.b.entryOf(nil, x, dynamicRow(values), cand.row)
	if err == nil && !bytes.Equal(e, cand.entry) {
		c.problem(cand.row, "index %s has an entry for it that it should not have", x.Name)
	}
	return err
}

// checkStrays reports keys that belong to no table and to no job.
func (t *Tx) checkStrays(report func(engine.Problem)) error {
	known, err := t.knownRanges()
	if err != nil {
		return err
	}
	gap := engine.Range{Low: []byte{1}} // a zero byte begins the keys of what is not tables
	for _, r := range known {
		gap.High = r.Low
		if err := t.checkGap(gap, report); err != nil {
			return err
		}
		if r.High == nil {
			return nil
		}
		gap = engine.Range{Low: r.High}
	}
	return t.checkGap(gap, report)
}

// knownRanges are those of rows, indexes and keys to be cleared, in order, none
// within another.
func (t *Tx) knownRanges() ([]engine.Range, error) {
	var known []engine.Range
	for _, s := range t.cat.tables {
		known = append(known, s.rows())
		for _, x := range s.indexes {
			known = append(known, engine.PrefixRange(x.prefix))
		}
	}
	jobs, err := t.jobs()
	for _, j := range jobs {
		if j.Kind == jobClear {
			known = append(known, j.span())
		}
	}
	slices.SortFunc(known, func(a, b engine.Range) int { return bytes.Compare(a.Low, b.Low) })
	return known, err
}

func (t *Tx) checkGap(gap engine.Range, report func(engine.Problem)) error {
	if gap.Empty() {
		return nil
	}
	c := t.raw.Scan(gap, engine.ScanOptions{})
	for c.Next() {
		report(engine.Problem{Where: fmt.Sprintf("key %x", c.Key()), What: "it belongs to no table and no index"})
	}
	return errors.Join(c.Err(), c.Close())
}
