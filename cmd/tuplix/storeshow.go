package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/dbms/table/value"
)

// tables prints what each table is made of.
func (s *storeFlags) tables(ctx context.Context, o *store.Store) error {
	return o.View(ctx, func(tx *table.Tx) error {
		names, err := tx.Tables()
		if err != nil {
			return err
		}
		for _, name := range names {
			if s.table != "" && name != s.table {
				continue
			}
			d, err := tx.Describe(name)
			if err != nil {
				return err
			}
			if s.json {
				err = printJSON(d)
			} else {
				printDefinition(d)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func printDefinition(d *table.Definition) {
	fmt.Println(d.Name)
	for _, c := range d.Columns {
		fmt.Println("  " + c.String())
	}
	var parts []string
	for _, p := range d.Key {
		parts = append(parts, p.String())
	}
	fmt.Printf("  key (%s)\n", strings.Join(parts, ", "))
	for _, x := range d.Indexes {
		fmt.Println("  " + x.String())
	}
	for _, c := range d.Checks {
		fmt.Println("  " + c.String())
	}
	for _, r := range d.References {
		fmt.Println("  " + r.String())
	}
}

// rows prints rows of a table, as JSON lines.
func (s *storeFlags) rows(ctx context.Context, o *store.Store) error {
	if s.table == "" {
		return usagef("rows of which -table?")
	}
	at := engine.Version("")
	if s.at != "" {
		var err error
		if at, err = moment(ctx, o, s.at); err != nil {
			return err
		}
	}
	return o.ViewAt(ctx, at, func(tx *table.Tx) error {
		rows, err := tx.Rows(s.table)
		if err != nil {
			return err
		}
		key, err := s.keyValues(rows.Definition())
		if err != nil {
			return err
		}
		for row, err := range rows.Scan("", table.Prefix(key...).Limit(s.n)) {
			if err != nil {
				return err
			}
			if err := printJSON(rowJSON(rows.Definition(), row)); err != nil {
				return err
			}
		}
		return nil
	})
}

// rowJSON is a row by the names of its columns.
func rowJSON(d *table.Definition, row []table.Value) map[string]any {
	m := make(map[string]any)
	for i, c := range d.Columns {
		switch v := row[i]; {
		case v.IsNull():
			m[c.Name] = nil
		case v.Type().Signed():
			m[c.Name] = v.Int()
		case v.Type().Unsigned():
			m[c.Name] = v.Uint()
		case v.Type().String() == "bool":
			m[c.Name] = v.Bool()
		default:
			m[c.Name] = v.String()
		}
	}
	return m
}

// keyValues reads -key by the types of the key's columns.
func (s *storeFlags) keyValues(d *table.Definition) ([]any, error) {
	if s.key == "" {
		return nil, nil
	}
	texts := strings.Split(s.key, ",")
	if len(texts) > len(d.Key) {
		return nil, usagef("the key of table %s has %d columns", d.Name, len(d.Key))
	}
	var key []any
	for i, text := range texts {
		for _, c := range d.Columns {
			if c.Name != d.Key[i].Column {
				continue
			}
			v, err := value.Parse(text, c.Type)
			if err != nil {
				return nil, usagef("-key, column %s: %v", c.Name, err)
			}
			key = append(key, v)
		}
	}
	return key, nil
}

// logLine is a transaction as JSON.
type logLine struct {
	Version     string    `json:"version"`
	Time        time.Time `json:"time"`
	User        string    `json:"user"`
	Program     string    `json:"program"`
	Task        string    `json:"task,omitempty"`
	Name        string    `json:"name"`
	Operation   string    `json:"operation"`
	RowsRead    int       `json:"rows_read"`
	RowsWritten int       `json:"rows_written"`
}

// log prints the newest transactions, newest first.
func (s *storeFlags) log(ctx context.Context, o *store.Store) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	if !s.json {
		fmt.Fprintln(w, "version\ttime\tuser\tprogram\twhat\tread\twritten\t")
	}
	left := s.n
	err := o.View(ctx, func(tx *table.Tx) error {
		for c, err := range tx.Raw().Commits("", true) {
			if err != nil {
				return err
			}
			l := logLine{
				Version: versionText(c.Version), Time: c.Time, User: c.Op.User, Program: c.Op.Program, Task: c.Op.Task,
				Name: c.Op.Name, Operation: c.Op.ID, RowsRead: c.RowsRead, RowsWritten: c.RowsWritten,
			}
			if s.json {
				if err := printJSON(l); err != nil {
					return err
				}
			} else {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t\n", l.Version, l.Time.Local().Format("2006-01-02 15:04:05.000"),
					l.User, l.Program, l.Name, l.RowsRead, l.RowsWritten)
			}
			if left--; left == 0 {
				break
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

// check proves that the store is whole. Problems make the exit status 1.
func (s *storeFlags) check(ctx context.Context, o *store.Store) error {
	p := startProgress(os.Stderr, "checking "+s.path)
	problems := 0
	err := o.Check(ctx, func(q engine.Problem) {
		problems++
		if s.json {
			_ = printJSON(q)
		} else {
			fmt.Printf("%s: %s\n", q.Where, q.What)
		}
	})
	p.stop()
	switch {
	case err != nil:
		return err
	case problems > 0:
		return fmt.Errorf("%s has %d problems", s.path, problems)
	case !s.json:
		fmt.Printf("%s is whole\n", s.path)
	}
	return nil
}

// stats prints the engine's counters, and from when on the past can be read.
func (s *storeFlags) stats(ctx context.Context, o *store.Store) error {
	m := o.Engine().Metrics()
	oldest, err := o.Engine().Horizon(ctx, engine.All)
	if err != nil {
		return err
	}
	if s.json {
		return printJSON(struct {
			Oldest string `json:"oldest"`
			engine.Metrics
		}{versionText(oldest), m})
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, l := range []struct {
		what  string
		value any
	}{
		{"oldest version", versionText(oldest)}, {"superseded versions, about", m.Superseded},
		{"restores not yet repaired", m.Restores}, {"bytes on the device", m.DeviceBytes},
		{"device, free of total", fmt.Sprintf("%d of %d", m.Room.Free, m.Room.Total)},
		{"history, of at most", fmt.Sprintf("%d of %d", m.Room.History, m.Room.HistoryLimit)},
		{"history reaches back", m.Room.HistorySpan.Round(time.Second)},
		{"history goes early below, free", m.Room.Early}, {"writers wait below, free", m.Room.Reserve},
		{"files by level", m.LevelFiles}, {"bytes by level", m.LevelBytes}, {"compactions since opened", m.Compactions},
	} {
		fmt.Fprintf(w, "%s\t%v\n", l.what, l.value)
	}
	return w.Flush()
}
