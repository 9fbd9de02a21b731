package system_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/internal/transcript"
	"github.com/tuplix/tuplix/services/system"
)

const page = "../../docs/TABLES.md"

const head = `# The tables of the system

Everything that the system knows is a row of one of these. The page is written from the
code (` + "`go test ./services/system -run TablesPage -update`" + `), and a test compares.
A name in bold is a part of the primary key, in that order. "null" may be absent.
`

// source is what the code says of tables: for each its row's type, documented.
type source struct {
	structs map[string]*ast.TypeSpec // by directory and name
	docs    map[string]string        // the same, comments
	rows    map[string]string        // directory and name of the row's type, by table
}

func TestTablesPage(t *testing.T) {
	src := readServices(t)
	var b bytes.Buffer
	b.WriteString(head)
	for _, d := range system.Tables() {
		definition, err := d.(interface {
			Definition() (*table.Definition, error)
		}).Definition()
		if err != nil {
			t.Fatal(err)
		}
		writeTable(t, &b, definition, src)
	}
	if transcript.Updating() {
		if err := os.WriteFile(page, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, b.Bytes()) {
		t.Errorf("docs/TABLES.md is not what the code says; run: go test ./services/system -run TablesPage -update")
	}
}

// readServices parses the sources of all services.
func readServices(t *testing.T) *source {
	src := &source{map[string]*ast.TypeSpec{}, map[string]string{}, map[string]string{}}
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool { return src.visit(filepath.Dir(name), n) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func (s *source) visit(dir string, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GenDecl:
		for _, spec := range n.Specs {
			if spec, ok := spec.(*ast.TypeSpec); ok {
				doc := spec.Doc
				if doc == nil {
					doc = n.Doc
				}
				s.structs[dir+"."+spec.Name.Name], s.docs[dir+"."+spec.Name.Name] = spec, doc.Text()
			}
		}
	case *ast.CallExpr: // table.Declare[Row]("name")
		declare, ok := n.Fun.(*ast.IndexExpr)
		if !ok || len(n.Args) != 1 {
			break
		}
		called, ok := declare.X.(*ast.SelectorExpr)
		if !ok || called.Sel.Name != "Declare" {
			break
		}
		row, isName := declare.Index.(*ast.Ident)
		name, isText := n.Args[0].(*ast.BasicLit)
		if isName && isText {
			text, _ := strconv.Unquote(name.Value)
			s.rows[text] = dir + "." + row.Name
		}
	}
	return true
}

func writeTable(t *testing.T, b *bytes.Buffer, d *table.Definition, src *source) {
	row, ok := src.rows[d.Name]
	if !ok {
		t.Fatalf("no table.Declare[T](%q) was found in the sources", d.Name)
	}
	columns := src.columns(row)
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| column | type | |\n| --- | --- | --- |\n", d.Name, sentence(src.docs[row]))
	for _, c := range d.Columns {
		doc := columns[c.Name]
		if doc == "" {
			t.Errorf("%s: column %s has no comment", d.Name, c.Name)
		}
		name := c.Name
		for _, p := range d.Key {
			if p.Column == c.Name {
				name = "**" + p.String() + "**"
			}
		}
		kind := fmt.Sprint(c.Type)
		if c.Nullable {
			kind += ", null"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", name, kind, cell(doc))
	}
	list(b, "Indexes", len(d.Indexes), func(i int) string { return d.Indexes[i].String() })
	list(b, "Checks", len(d.Checks), func(i int) string { return d.Checks[i].String() })
	list(b, "References", len(d.References), func(i int) string { return d.References[i].String() })
}

func list(b *bytes.Buffer, title string, n int, item func(i int) string) {
	if n == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	for i := range n {
		fmt.Fprintf(b, "- `%s`\n", item(i))
	}
}

// columns returns the comments of a row's fields, by the names of the columns.
func (s *source) columns(row string) map[string]string {
	docs := map[string]string{}
	spec, ok := s.structs[row]
	if !ok {
		return docs
	}
	fields, ok := spec.Type.(*ast.StructType)
	if !ok {
		return docs
	}
	for _, f := range fields.Fields.List {
		doc := f.Doc.Text() + f.Comment.Text()
		for _, n := range f.Names {
			docs[column(n.Name, f.Tag)] = doc
		}
		if embedded, ok := f.Type.(*ast.Ident); ok && len(f.Names) == 0 {
			dir := row[:strings.LastIndexByte(row, '.')]
			for name, doc := range s.columns(dir + "." + embedded.Name) {
				docs[name] = doc
			}
		}
	}
	return docs
}

// column is the name of the column of a field: that of its tag, or in SQL's style.
func column(field string, tag *ast.BasicLit) string {
	if tag != nil {
		text, _ := strconv.Unquote(tag.Value)
		for _, word := range strings.Split(reflect.StructTag(text).Get("table"), ",") {
			if name, ok := strings.CutPrefix(word, "name="); ok {
				return name
			}
		}
	}
	var b strings.Builder
	runes := []rune(field)
	for i, r := range runes {
		begins := unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if begins {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// sentence is a comment as a paragraph.
func sentence(doc string) string { return strings.Join(strings.Fields(doc), " ") }

func cell(doc string) string { return strings.ReplaceAll(sentence(doc), "|", `\|`) }
