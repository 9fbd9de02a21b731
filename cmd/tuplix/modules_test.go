package main

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/qemu"
)

var allModules = flag.Bool("modules.all", false, "of other modules, run the tests as well that take minutes")

// sqlitePackage is SQLite's tests of modernc.org/sqlite, which is SQLite in Go.
var sqlitePackage = goPackage{path: "modernc.org/sqlite", skipped: []skippedTest{
	{"TestConcurrentGoroutines", "starts the go command (fork, exec), when all else of it has passed"},
}}

// slowSQLite are those that take minutes.
var slowSQLite = []skippedTest{
	{"TestSingleConn", "inserts a million rows"},
	{"TestRegisteredFunctions/QueryContext_with_context_expiring", "waits for 200 s, on any system"},
	{"TestRegisteredFunctions/ExecContext_with_context_expiring", "waits for 200 s, on any system"},
}

// TestSQLite runs SQLite's own tests in a machine, on its files.
func TestSQLite(t *testing.T) {
	if _, err := exec.LookPath(qemu.Program); err != nil {
		t.Skip("no machine to run the tests in: ", err)
	}
	p := sqlitePackage
	if !*allModules {
		p.skipped = append(p.skipped, slowSQLite...)
	}
	t.Chdir(copyModule(t, p.path))
	g := &goImage{}
	if err := g.build(t.Context(), ".", filepath.Join(t.TempDir(), "image"), "-short", "-smp", "2", "-m", "2G", "-timeout", "30m"); err != nil {
		t.Fatal(err)
	}
	g.tester.verbose = true
	ok, out := g.run(t, append(p.skipFlags(), "-test.v=true")...)
	passed := strings.Count(out, "\n--- PASS: Test")
	if want := strings.Count(sources(t), "\nfunc Test") - len(p.skipped); !ok || passed < want {
		t.Errorf("%d of %d passed\n%s", passed, want, out)
	}
}

// sources are the test files of the working directory.
func sources(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(b)
	}
	return text.String()
}

// copyModule copies the directory of a module to where a test may be built: the go
// command compiles nothing into those of its cache.
func copyModule(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.CommandContext(context.Background(), "go", "list", "-m", "-f", "{{.Dir}}", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "module")
	if err := os.CopyFS(dir, os.DirFS(strings.TrimSpace(string(out)))); err != nil {
		t.Fatal(err)
	}
	return dir
}
