package table

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table/expr"
	"github.com/tuplix/tuplix/dbms/table/value"
)

var updateFlag = flag.Bool("update", false, "write the transcripts in testdata anew")

// TestTranscripts runs the lines of testdata that begin with "> ", each in a
// transaction of its own, and compares what they print.
func TestTranscripts(t *testing.T) {
	names, err := filepath.Glob("testdata/*.transcript")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s := &script{T: t, db: openDB(t), marks: make(map[string]engine.Version)}
		var out strings.Builder
		for line := range strings.Lines(string(text)) {
			if command, ok := strings.CutPrefix(line, "> "); ok {
				out.WriteString(line)
				out.WriteString(s.run(strings.TrimSpace(command)))
			} else if strings.HasPrefix(line, "#") || line == "\n" {
				out.WriteString(line)
			}
		}
		if *updateFlag {
			err = os.WriteFile(name, []byte(out.String()), 0o644)
		} else if out.String() != string(text) {
			t.Errorf("%s: got\n%s", name, out.String())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

type script struct {
	*testing.T
	db    *DB
	marks map[string]engine.Version
	out   strings.Builder
}

func (s *script) run(line string) string {
	s.out.Reset()
	word, rest, _ := strings.Cut(line, " ")
	var err error
	switch word {
	case "work":
		err = s.db.Work(context.Background(), testOp)
	case "check":
		err = s.db.View(context.Background(), func(tx *Tx) error {
			return tx.Check(func(p engine.Problem) { fmt.Fprintf(&s.out, "%s: %s\n", p.Where, p.What) })
		})
	case "scan", "describe", "get":
		err = s.db.View(context.Background(), func(tx *Tx) error { return s.read(tx, word, strings.Fields(rest)) })
	case "mark":
		s.marks[rest], err = s.db.Update(context.Background(), testOp, func(*Tx) error { return nil })
	default:
		_, err = s.db.Update(context.Background(), testOp, func(tx *Tx) error { return s.change(tx, word, rest) })
	}
	if err != nil {
		fmt.Fprintf(&s.out, "error: %v\n", err)
	}
	return s.out.String()
}

// read does "scan TABLE INDEX VALUES", with - for the primary key, "get" with the
// same arguments, and "describe TABLE".
func (s *script) read(tx *Tx, word string, args []string) error {
	rows, err := tx.Rows(args[0])
	if err != nil {
		return err
	}
	if word == "describe" {
		d := rows.Definition()
		fmt.Fprintf(&s.out, "%v\nkey (%s)\n", d.Columns, partList(d.Key))
		for _, x := range d.Indexes {
			fmt.Fprintln(&s.out, x)
		}
		for _, r := range d.References {
			fmt.Fprintln(&s.out, r)
		}
		return nil
	}
	index := strings.TrimPrefix(args[1], "-")
	key := s.values(args[2:])
	if word == "get" {
		row, err := rows.Get(index, key...)
		if err == nil {
			fmt.Fprintln(&s.out, row)
		}
		return err
	}
	for row, err := range rows.Scan(index, Prefix(key...)) {
		if err != nil {
			return err
		}
		fmt.Fprintln(&s.out, row)
	}
	return nil
}

func (s *script) values(words []string) []any {
	var out []any
	for _, w := range words {
		v, err := expr.ParseLiteral(w)
		if err != nil {
			s.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func (s *script) change(tx *Tx, word, rest string) error {
	args := strings.Fields(rest)
	switch word {
	case "create":
		return tx.CreateTable(s.definition(rest))
	case "add":
		return tx.AddColumn(args[0], s.column(args[1]))
	case "drop":
		return tx.DropColumn(args[0], args[1])
	case "rename":
		return tx.RenameColumn(args[0], args[1], args[2])
	case "droptable":
		return tx.DropTable(args[0])
	case "index", "unique":
		head, where, _ := strings.Cut(rest, " where ")
		args = strings.Fields(head)
		x := IndexDef{Name: args[1], Unique: word == "unique", Where: where}
		for _, c := range args[2:] {
			name, desc := strings.CutPrefix(c, "-")
			x.Parts = append(x.Parts, Part{Column: name, Descending: desc})
		}
		return tx.AddIndex(args[0], x)
	case "restore":
		return tx.RestoreTable(args[0], s.marks[args[1]])
	}
	return s.write(tx, word, args)
}

func (s *script) write(tx *Tx, word string, args []string) error {
	rows, err := tx.Rows(args[0])
	if err != nil {
		return err
	}
	key := s.values(args[1:])
	var row []Value
	for _, v := range key {
		row = append(row, v.(Value))
	}
	switch word {
	case "insert":
		return rows.Insert(row)
	case "put":
		return rows.Put(row)
	case "update":
		return rows.Update(row)
	case "delete":
		return rows.Delete(key...)
	case "restorerows":
		return rows.Restore(Prefix(key[1:]...), s.marks[key[0].(Value).Text()])
	}
	s.Fatalf("no command %s", word)
	return nil
}

// definition reads "TABLE COLUMN:TYPE... key COLUMN... check CONDITION", or
// "refer TABLE COLUMN..." or "cascade" in the place of the last.
func (s *script) definition(text string) Definition {
	head, cond, _ := strings.Cut(text, " check ")
	columns, key, _ := strings.Cut(head, " key ")
	words := strings.Fields(columns)
	d := Definition{Name: words[0]}
	for _, c := range words[1:] {
		d.Columns = append(d.Columns, s.column(c))
	}
	for _, how := range []string{" refer ", " cascade "} {
		if k, ref, found := strings.Cut(key, how); found {
			words := strings.Fields(ref)
			d.References = []ReferenceDef{{Name: "ref", Table: words[0], Columns: words[1:], Cascade: how == " cascade "}}
			key = k
		}
	}
	for _, k := range strings.Fields(key) {
		name, desc := strings.CutPrefix(k, "-")
		d.Key = append(d.Key, Part{Column: name, Descending: desc})
	}
	if cond != "" {
		d.Checks = []CheckDef{{Name: "valid", Cond: cond}}
	}
	return d
}

// column reads NAME:TYPE, NAME:TYPE? or NAME:TYPE=DEFAULT.
func (s *script) column(text string) ColumnDef {
	name, rest, _ := strings.Cut(text, ":")
	rest, constant, _ := strings.Cut(rest, "=")
	kind, null := strings.CutSuffix(rest, "?")
	typ, ok := value.TypeOf(kind)
	if !ok {
		s.Fatalf("no type %s", kind)
	}
	c := ColumnDef{Name: name, Type: typ, Nullable: null}
	if constant != "" {
		c.Default = s.values([]string{constant})[0].(Value)
	}
	return c
}
