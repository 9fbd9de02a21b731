package image

import (
	"bytes"
	"context"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// useStandIn makes Root find the stand-in for the system under testdata, and
// keeps the workspaces out of the user's cache. The go command's own cache
// stays where it is.
func useStandIn(t *testing.T) {
	t.Helper()
	root, err := filepath.Abs("testdata/root")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TUPLIX_ROOT", root)
	t.Setenv("GOCACHE", strings.TrimSpace(string(cache)))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
}

// build makes an image and runs it as a Linux process.
func build(t *testing.T, o Options) string {
	t.Helper()
	o.Output = filepath.Join(t.TempDir(), "image")
	if err := Build(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(o.Output).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The system is initialised before packages that sort before it.
func TestSystemFirst(t *testing.T) {
	useStandIn(t)
	for _, plain := range []bool{true, false} {
		got := build(t, Options{Dir: "testdata/early", LDFlags: "-X main.version=1.2", Plain: plain})
		if want := "main=\"ready\" library=\"ready\" version=1.2\n"; got != want {
			t.Errorf("plain %v: got %q, want %q", plain, got, want)
		}
	}
}

func TestNote(t *testing.T) {
	useStandIn(t)
	path := filepath.Join(t.TempDir(), "image")
	if err := Build(context.Background(), Options{Dir: "testdata/early", Output: path, Plain: true}); err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	last := f.Progs[len(f.Progs)-1]
	if last.Type != elf.PT_NOTE {
		t.Fatalf("last program header is %v", last.Type)
	}
	got := make([]byte, last.Filesz)
	if _, err := last.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if s.Name == EntrySymbol && !bytes.Equal(got, note(s.Value)) {
			t.Errorf("note is % x, want % x", got, note(s.Value))
		}
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && (p.Align != 2<<20 || p.Vaddr != p.Paddr || p.Vaddr%p.Align != p.Off%p.Align) {
			t.Errorf("segment at %#x, physical %#x, offset %#x, aligned to %#x", p.Vaddr, p.Paddr, p.Off, p.Align)
		}
	}
}

const hello = `package main

import (
	"fmt"
	"os"
)

func main() { fmt.Println("hello", os.Getenv("SYSTEM")) }
`

// A main package may live in no module, in a module, in a workspace.
func TestModules(t *testing.T) {
	useStandIn(t)
	for _, test := range []struct {
		name  string
		files map[string]string
		dir   string
	}{
		{"none", map[string]string{"main.go": hello}, "."},
		{"module", map[string]string{"go.mod": "module x.example\n", "cmd/a/main.go": hello}, "cmd/a"},
		{"injected name taken", map[string]string{"go.mod": "module x.example\ngo 1.24\n", "zz_tuplix.go": hello}, "."},
		{"workspace", map[string]string{
			"go.work":   "go 1.25\nuse ./a\nuse ./b\nreplace c.example => ./c\n",
			"a/go.mod":  "module a.example\ngo 1.24\nrequire c.example v0.0.0\n",
			"a/main.go": strings.Replace(hello, `"fmt"`, `"fmt"; _ "b.example"; _ "c.example"`, 1),
			"b/go.mod":  "module b.example\ngo 1.25\n",
			"b/b.go":    "package b\n",
			"c/go.mod":  "module c.example\n",
			"c/c.go":    "package c\n",
		}, "a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(writeTree(t, test.files), test.dir)
			if got := build(t, Options{Dir: dir}); got != "hello ready\n" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// Errors name the cause, and nothing is written.
func TestRefusals(t *testing.T) {
	useStandIn(t)
	for _, test := range []struct {
		name, want string
		files      map[string]string
	}{
		{"library", "is package lib, not a command", map[string]string{"go.mod": "module x.example\n", "lib.go": "package lib\n"}},
		{"empty", "no Go files", map[string]string{"go.mod": "module x.example\n"}},
		{"syntax", "main.go:3", map[string]string{"go.mod": "module x.example\n", "main.go": "package main\n\nfunc main() { x := }\n"}},
		{"broken module", "go.mod", map[string]string{"go.mod": "modul x\n", "main.go": hello}},
		{"missing module", "network", map[string]string{"go.mod": "module x.example\ngo 1.25\nrequire missing.example v1.0.0\n", "main.go": "package main\n\nimport _ \"missing.example\"\n\nfunc main() {}\n"}},
		{"stripped", "without -s", map[string]string{"main.go": hello}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("GOPROXY", "off")
			dir := writeTree(t, test.files)
			o := Options{Dir: dir, Output: filepath.Join(dir, "image")}
			if test.name == "stripped" {
				o.LDFlags = "-s"
			}
			err := Build(context.Background(), o)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want %q in it", err, test.want)
			}
			if _, err := os.Stat(o.Output); !os.IsNotExist(err) {
				t.Error("there is an output file")
			}
		})
	}
}

// FuzzFinish feeds damaged ELF files to the edits: they may refuse them but
// must not fail otherwise.
func FuzzFinish(f *testing.F) {
	small, err := os.ReadFile(os.Args[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(small[:4096])
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parse(data)
		if err != nil {
			return
		}
		if err := l.systemFirst(map[string]bool{"os": true}); err != nil {
			return
		}
		if _, err := l.addNote(); err != nil {
			return
		}
		if _, err := l.compress(); err != nil {
			return
		}
	})
}

func TestUnescapePath(t *testing.T) {
	for in, want := range map[string]string{
		"os":                 "os",
		"gopkg.in/yaml%2ev3": "gopkg.in/yaml.v3",
		"a%":                 "a%",
		"a%2":                "a%2",
		"a%25b":              "a%b",
	} {
		if got := unescapePath(in); got != want {
			t.Errorf("unescapePath(%q) = %q, want %q", in, got, want)
		}
	}
}
