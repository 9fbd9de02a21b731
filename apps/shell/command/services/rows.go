package services

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/dbms/table/value"
	"github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/user"
)

// mostCounted is how many rows of a table are counted if nobody asks for all.
const mostCounted = 10000

func tables(open Open) *command.Command {
	return open.verb("tables", "[--exact] [--json] [name]", "list the tables of the system and how many rows they have; with a name, its columns",
		func(c *command.Call) (job, error) {
			o := c.Options()
			exact := o.Flag("e,exact", fmt.Sprintf("count all rows, also of tables with more than %d", mostCounted))
			json := o.Flag("json", jsonHelp)
			names, err := o.Parse(0, 1)
			return func(ctx context.Context, s *system.System) error {
				if len(names) == 1 {
					return describe(ctx, c, s, names[0], *json)
				}
				most := mostCounted
				if *exact {
					most = 0
				}
				return listTables(ctx, c, s, most, *json)
			}, err
		})
}

func listTables(ctx context.Context, c *command.Call, s *system.System, most int, json bool) error {
	list := c.List(json, "table", "rows", "columns")
	err := s.Store.View(ctx, func(tx *table.Tx) error {
		names, err := readable(ctx, tx)
		for _, name := range names {
			if err = listOne(ctx, tx, list, name, most); err != nil {
				break
			}
		}
		return err
	})
	return errors.Join(err, list.End())
}

// readable are the names of the tables that the caller may read.
func readable(ctx context.Context, tx *table.Tx) (names []string, err error) {
	all, err := tx.Tables()
	if err != nil {
		return nil, err
	}
	for _, name := range all {
		switch err := mayRead(ctx, tx, name); {
		case err == nil:
			names = append(names, name)
		case !errors.Is(err, user.ErrDenied):
			return nil, err
		}
	}
	return names, nil
}

func listOne(ctx context.Context, tx *table.Tx, list *command.Listing, name string, most int) error {
	rows, err := tx.Rows(name)
	if err != nil {
		return err
	}
	n := 0
	for _, err := range rows.Scan("", table.Span{}) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if n++; most > 0 && n > most {
			break
		}
	}
	var count any = n
	if most > 0 && n > most {
		count = fmt.Sprintf("more than %d", most)
	}
	return list.Row(name, count, strings.Join(columnNames(rows.Definition()), " "))
}

func columnNames(d *table.Definition) (names []string) {
	for _, c := range d.Columns {
		names = append(names, c.Name)
	}
	return names
}

// describe shows what a table is made of.
func describe(ctx context.Context, c *command.Call, s *system.System, name string, json bool) error {
	list := c.List(json, "column", "type", "key")
	err := s.Store.View(ctx, func(tx *table.Tx) error {
		if err := mayRead(ctx, tx, name); err != nil {
			return err
		}
		d, err := describeTable(tx, name)
		if err != nil {
			return err
		}
		for _, column := range d.Columns {
			kind := column.Type.String()
			if column.Nullable {
				kind += ", may be null"
			}
			var key any
			if i := slices.IndexFunc(d.Key, func(p table.Part) bool { return p.Column == column.Name }); i >= 0 {
				key = i + 1
			}
			if err := list.Row(column.Name, kind, key); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, list.End())
}

// describeTable returns what a table is made of.
func describeTable(tx *table.Tx, name string) (*table.Definition, error) {
	names, err := tx.Tables()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, name) && slices.Contains(names, "os."+name) {
		return nil, fmt.Errorf("there is no table %s; there is os.%s", name, name)
	}
	if !slices.Contains(names, name) {
		return nil, fmt.Errorf("there is no table %s; tables lists them", name)
	}
	return tx.Describe(name)
}

// search is what rows was asked for.
type search struct {
	table string
	where []string
	limit int
	json  bool
}

func rows(open Open) *command.Command {
	cmd := open.verb("rows", "[--at time] [--where column=value]... [-n count] [--json] table", "print rows of a table, now or at a time",
		func(c *command.Call) (job, error) {
			o := c.Options()
			at := o.String("at", "TIME", "", "as they were: "+pastHelp)
			where := o.Strings("w,where", "COLUMN=VALUE", "only rows with this value; null for none; may be repeated")
			limit := o.Int("n,limit", "N", 100, 0, "at most so many rows, 100 if not told; 0: all")
			json := o.Flag("json", jsonHelp)
			names, err := o.Parse(1, 1)
			return func(ctx context.Context, s *system.System) error {
				// The rights are those of now, whatever they were at that time.
				err := s.Store.View(ctx, func(tx *table.Tx) error { return mayRead(ctx, tx, names[0]) })
				if err != nil {
					return err
				}
				v, err := versionAt(ctx, s, *at)
				if err != nil {
					return err
				}
				return s.Store.ViewAt(ctx, v, func(tx *table.Tx) error {
					return printRows(ctx, c, tx, search{names[0], *where, *limit, *json})
				})
			}, err
		})
	return open.completed(cmd, readable)
}

// filter is a column that must have a value.
type filter struct {
	column int
	value  table.Value
}

func printRows(ctx context.Context, c *command.Call, tx *table.Tx, q search) error {
	d, err := describeTable(tx, q.table)
	if err != nil {
		return err
	}
	filters, err := parseFilters(d, q.where)
	if err != nil {
		return err
	}
	rows, err := tx.Rows(q.table)
	if err != nil {
		return err
	}
	list := c.List(q.json, columnNames(d)...)
	for row, err := range rows.Scan("", keySpan(d, filters)) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if !matches(row, filters) {
			continue
		}
		if q.limit > 0 && list.Len() == q.limit {
			err = list.End()
			fmt.Fprintf(c.Err, "rows: there are more; -n 0 shows all\n")
			return err
		}
		if err := list.Row(shown(row)...); err != nil {
			return err
		}
	}
	return list.End()
}

func parseFilters(d *table.Definition, texts []string) (filters []filter, err error) {
	for _, text := range texts {
		name, want, ok := strings.Cut(text, "=")
		i := slices.Index(columnNames(d), name)
		switch {
		case !ok:
			return nil, command.Usagef("--where %s: write COLUMN=VALUE", text)
		case i < 0:
			return nil, fmt.Errorf("table %s has no column %s; it has %s", d.Name, name, strings.Join(columnNames(d), " "))
		}
		var v table.Value
		if want != "null" || !d.Columns[i].Nullable {
			if v, err = value.Parse(want, d.Columns[i].Type); err != nil {
				return nil, fmt.Errorf("--where: column %s: %w", name, err)
			}
		}
		filters = append(filters, filter{i, v})
	}
	return filters, nil
}

// keySpan is the rows whose key begins with what the filters ask for.
func keySpan(d *table.Definition, filters []filter) table.Span {
	var prefix []any
	for _, part := range d.Key {
		i := slices.IndexFunc(filters, func(f filter) bool { return d.Columns[f.column].Name == part.Column })
		if i < 0 {
			break
		}
		prefix = append(prefix, filters[i].value)
	}
	if len(prefix) == 0 {
		return table.Span{}
	}
	return table.Prefix(prefix...)
}

func matches(row []table.Value, filters []filter) bool {
	for _, f := range filters {
		if value.Compare(row[f.column], f.value) != 0 {
			return false
		}
	}
	return true
}

// shown are the values of a row for a listing.
func shown(row []table.Value) []any {
	out := make([]any, len(row))
	for i, v := range row {
		out[i] = goValue(v)
	}
	return out
}

func goValue(v table.Value) any {
	switch v.Type() {
	case value.Bytes, value.UUID, value.Decimal:
		return v.String()
	}
	return v.Any()
}
