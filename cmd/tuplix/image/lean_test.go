package image

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// What may call any method keeps every method of a program. A program that does not
// itself do so must not have it, whatever the system's modules mention.
func TestLean(t *testing.T) {
	if testing.Short() {
		t.Skip("links an image")
	}
	path := filepath.Join(t.TempDir(), "image")
	if err := Build(context.Background(), Options{Dir: "../../../apps/hello", Output: path, Plain: true}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"reflect.Value.Methods.func1", "reflect.(*rtype).Methods.func1"} {
		if _, ok := l.symbols[name]; ok {
			t.Errorf("the image has %s: %d bytes in all", name, len(data))
		}
	}
	if _, ok := l.symbols["main.main"]; !ok {
		t.Error("the image has no main.main")
	}
	if _, ok := l.symbols["github.com/cockroachdb/pebble/v2.Open"]; !ok {
		t.Error("the image has no Pebble")
	}
	for name := range l.symbols {
		for _, module := range []string{"google.golang.org/protobuf/", "github.com/gogo/protobuf/", "github.com/getsentry/", "github.com/cockroachdb/errors", "github.com/prometheus/"} {
			if strings.HasPrefix(name, module) {
				t.Fatalf("the image has %s: what Pebble needs has stand-ins", name)
			}
		}
	}
}

// The copy is edited, has what is added, and lacks what only the module's own tests need.
func TestCopyLean(t *testing.T) {
	from := writeTree(t, map[string]string{
		"go.mod":          "module x\n",
		"a/data.bin":      "\x00",
		"a/a_test.go":     "package a\n",
		"a/a.go":          "old\n",
		"testdata/t.txt":  "t",
		"b/a.go":          "old",
		"testprotos/p.go": "package p\n",
	})
	edit := func(name string, text []byte) []byte {
		if name == "a/a.go" {
			return []byte("new\n")
		}
		return text
	}
	to := filepath.Join(t.TempDir(), "module")
	for range 2 {
		if err := copyLean(from, to, map[string][]byte{"c/d/e.go": []byte("added")}, edit); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"go.mod": "module x\n", "a/data.bin": "\x00", "a/a.go": "new\n", "b/a.go": "old", "c/d/e.go": "added",
		"a/a_test.go": "", "testdata/t.txt": "", "testprotos/p.go": "",
	} {
		got, err := os.ReadFile(filepath.Join(to, name))
		if string(got) != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// Stand-ins take the place in Pebble alone, in the version that the system requires, and
// not where the application requires Pebble, too.
func TestLeanPebble(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	root := writeTree(t, map[string]string{
		"go.mod":                      "module example.com/system\n\nrequire " + leanPebble + " v2.1.7\n",
		standIns + "/redact/r.go":     "package redact\n",
		standIns + "/redact/_test.go": "package redact\n",
	})
	pebble := writeTree(t, map[string]string{
		"go.mod":  "module " + leanPebble + "\n",
		"open.go": "package pebble\n\nimport \"github.com/cockroachdb/redact\"\n",
	})
	app := writeTree(t, map[string]string{"go.mod": "module example.com/app\n\nrequire example.com/other v1.0.0\n"})
	user := writeTree(t, map[string]string{"go.mod": "module example.com/app\n\nrequire " + leanPebble + " v2.1.7\n"})
	w := &workspace{root: root}
	for _, c := range []struct {
		name, version string
		use           []string
		lean          bool
	}{
		{"alone", "v2.1.7", []string{root}, true},
		{"an application", "v2.1.7", []string{app, root}, true},
		{"an application that uses Pebble", "v2.1.7", []string{user, root}, false},
		{"another version", "v2.2.0", []string{app, root}, false},
	} {
		f := new(modfile.WorkFile)
		for _, dir := range c.use {
			f.Use = append(f.Use, &modfile.Use{Path: dir})
		}
		dir, err := w.leanPebble(module{Path: leanPebble, Version: c.version, Dir: pebble}, f)
		if err != nil || (dir != "") != c.lean {
			t.Fatalf("%s: %q, %v", c.name, dir, err)
		}
		if !c.lean {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, "open.go"))
		if want := "package pebble\n\nimport \"" + leanPebble + "/internal/lean/redact\"\n"; string(text) != want || err != nil {
			t.Errorf("%s: %q, %v", c.name, text, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "internal/lean/redact/r.go")); err != nil {
			t.Error(err)
		}
	}
}
