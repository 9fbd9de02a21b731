// Package tuplix_test keeps the house in order. Its tests read the source tree,
// not the behaviour of any package: who imports whom, what each package says of
// itself, which licences are linked in, and that what the documents point to is
// there.
package tuplix_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tuplix/tuplix"

// layers are the levels from the bottom up: a package imports only its own level
// and those below it. board composes them and is imported by nobody.
var layers = []string{"kernel", "drivers", "dbms", "services", "apps", "board"}

// host are the directories of programs and tests that run beside the system, not
// in it. They may import any level but apps and board, and only they one another.
var host = []string{"cmd", "qemu"}

// topLevel is everything that may stand at the root.
var topLevel = []string{
	"apps", "board", "cmd", "dbms", "docs", "drivers", "kernel", "qemu", "services",
	".ci", ".git", ".gitignore", "build", "go.mod", "go.sum", "LICENSE", "Makefile", "NOTICE",
	"README.md", "notice_test.go", "tidy_test.go",
}

const (
	maxLines   = 600 // of a file; 100 to 300 are usual
	minDocSize = 250 // bytes of a package comment, less cannot say what it has to
)

// tree returns the files of the source tree, without what git ignores.
func tree(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (name == ".git" || name == "build") {
			return fs.SkipDir
		}
		if d.Type().IsRegular() {
			files = append(files, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// sources returns the Go files that are part of packages of this module.
func sources(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(tree(t), func(name string) bool {
		return path.Ext(name) != ".go" || strings.Contains("/"+name, "/testdata/") || strings.Contains("/"+name, "/_")
	})
}

// top returns the first element of a path.
func top(name string) string {
	first, _, _ := strings.Cut(name, "/")
	return first
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(topLevel, e.Name()) {
			t.Errorf("%s does not belong at the root", e.Name())
		}
	}
}

func TestLayers(t *testing.T) {
	for _, name := range sources(t) {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if fault := checkImport(path.Dir(name), imported); fault != "" {
				t.Errorf("%s imports %s: %s", name, imported, fault)
			}
		}
	}
}

// checkImport says what is wrong with an import, "" if nothing.
func checkImport(from, imported string) string {
	own, inside := strings.CutPrefix(imported, module+"/")
	if !inside {
		return checkForeign(from, imported)
	}
	importer, target := slices.Index(layers, top(from)), slices.Index(layers, top(own))
	switch {
	case top(own) == "board" && top(from) != "board" && !(own == "board/host" && top(from) == "cmd"):
		return "a board is imported by nobody, but that of a Linux process by its programs"
	case slices.Contains(host, top(own)) && !slices.Contains(host, top(from)):
		return "it runs on the host"
	case slices.Contains(host, top(from)) && top(own) == "apps":
		return "applications are built and booted, not linked in"
	case top(from) == "board" && top(own) == "apps":
		return "a board composes the system, and the application comes to it"
	case top(from) == "apps" && target < slices.Index(layers, "dbms"):
		return "an application knows nothing of the machine"
	case importer >= 0 && target > importer:
		return fmt.Sprintf("%s is above %s", top(own), top(from))
	}
	return ""
}

// checkForeign judges an import from outside of this module.
func checkForeign(from, imported string) string {
	standard := !strings.Contains(top(imported), ".")
	switch {
	case from == "apps/hello" && !standard:
		return "hello shows that an ordinary program runs: it uses the standard library only"
	case top(from) != "kernel" && top(from) != "drivers":
		return ""
	case strings.HasPrefix(imported, "github.com/cockroachdb/"), strings.HasPrefix(imported, "gvisor.dev/"):
		return "kernel and drivers know nothing of the database and the network stack"
	}
	return ""
}

// TestImportRules sees that the rules above refuse what they are there for.
func TestImportRules(t *testing.T) {
	for _, c := range []struct {
		from, imported string
		fine           bool
	}{
		{"services/file", module + "/dbms/blockfs", true},
		{"dbms/blockfs", module + "/services/file", false},
		{"kernel", module + "/drivers/pci", false},
		{"drivers/pci", module + "/kernel", true},
		{"drivers/pci", "github.com/cockroachdb/pebble/v2", false},
		{"kernel", "gvisor.dev/gvisor/pkg/tcpip", false},
		{"services/net", "gvisor.dev/gvisor/pkg/tcpip", true},
		{"board/pc", module + "/services/net", true},
		{"board/pc", module + "/apps/shell", false},
		{"cmd/tuplix", module + "/board/pc", false},
		{"cmd/tuplix", module + "/board/host", true},
		{"apps/shell", module + "/board/host", false},
		{"cmd/tuplix", module + "/kernel/cmdline", true},
		{"services/net", module + "/cmd/tuplix/image", false},
		{"apps/shell", module + "/kernel", false},
		{"apps/hello", "golang.org/x/sys/unix", false},
		{"apps/hello", "net/http", true},
	} {
		if fault := checkImport(c.from, c.imported); (fault == "") != c.fine {
			t.Errorf("%s imports %s: %q", c.from, c.imported, fault)
		}
	}
}

// claims are what a package comment has to speak of, one word of each.
var claims = map[string]*regexp.Regexp{
	"what it owns":       regexp.MustCompile(`(?i)\bown(s|ed|er)?\b`),
	"what it may import": regexp.MustCompile(`(?i)\bimports?\b`),
	"what it guarantees": regexp.MustCompile(`(?i)\b(guarantee|promise)`),
	"what it refuses":    regexp.MustCompile(`(?i)\b(refus|reject)`),
}

func TestPackageComments(t *testing.T) {
	seen := make(map[string]bool)
	for _, name := range sources(t) {
		dir := path.Dir(name)
		if dir == "." || seen[dir] {
			continue
		}
		seen[dir] = true
		file, err := parser.ParseFile(token.NewFileSet(), dir+"/doc.go", nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Errorf("%s needs a doc.go: %v", dir, err)
			continue
		}
		checkComment(t, dir, file)
	}
}

func checkComment(t *testing.T, dir string, file *ast.File) {
	text := file.Doc.Text()
	if len(text) < minDocSize {
		t.Errorf("%s/doc.go: the package comment has %d bytes, which cannot say what it has to", dir, len(text))
		return
	}
	for claim, said := range claims {
		if !said.MatchString(text) {
			t.Errorf("%s/doc.go does not say %s", dir, claim)
		}
	}
}

// leftovers are marks of work that is not finished. The words are put together
// here so that this file does not hold them.
var leftovers = regexp.MustCompile(`\b(` + strings.Join([]string{"TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"}, "|") + `)\b`)

func TestFiles(t *testing.T) {
	for _, name := range tree(t) {
		switch path.Ext(name) {
		case ".go", ".s", ".md", ".sh", ".mod", "":
		default:
			continue
		}
		if name == "NOTICE" {
			continue // other people's words
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if bytes.IndexByte(text, 0) >= 0 {
			continue // a binary without a suffix, such as a fuzz input
		}
		checkText(t, name, text)
	}
}

func checkText(t *testing.T, name string, text []byte) {
	for i, line := range strings.Split(string(text), "\n") {
		if mark := leftovers.FindString(line); mark != "" {
			t.Errorf("%s:%d: %s marks work that is not finished", name, i+1, mark)
		}
	}
	if ext := path.Ext(name); ext != ".go" && ext != ".s" {
		return
	}
	if n := bytes.Count(text, []byte("\n")); n > maxLines {
		t.Errorf("%s has %d lines; more than %d are too many for one file", name, n, maxLines)
	}
	if path.Ext(name) != ".go" || strings.Contains(name, "testdata/") {
		return
	}
	if formatted, err := format.Source(text); err != nil || !bytes.Equal(formatted, text) {
		t.Errorf("%s is not as gofmt writes it (%v)", name, err)
	}
}

var (
	link  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence = regexp.MustCompile("(?ms)^```.*?^```$") // code, where brackets mean other things
)

func TestLinks(t *testing.T) {
	for _, name := range tree(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(string(text), ""), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), target)); err != nil {
				t.Errorf("%s points to %s: %v", name, m[1], err)
			}
		}
	}
}

// Decisions are cited by number, so each has its own, in its name and in its title.
func TestDecisions(t *testing.T) {
	pages, err := filepath.Glob("docs/decisions/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no decisions: %v", err)
	}
	seen := map[string]string{}
	for _, page := range pages {
		number, _, _ := strings.Cut(filepath.Base(page), "-")
		if other := seen[number]; other != "" {
			t.Errorf("%s and %s have one number", other, page)
		}
		seen[number] = page
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		title, _, _ := strings.Cut(string(text), "\n")
		if n, err := strconv.Atoi(number); err != nil || !strings.HasPrefix(strings.TrimLeft(title, "# 0"), strconv.Itoa(n)) {
			t.Errorf("%s begins with %q", page, title)
		}
	}
}
