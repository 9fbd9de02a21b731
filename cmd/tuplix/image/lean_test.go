package image

import (
	"context"
	"os"
	"path/filepath"
	"testing"
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
}

// The copy lacks the line, and what only the module's own tests need.
func TestCopyLean(t *testing.T) {
	from := writeTree(t, map[string]string{
		"go.mod":          "module x\n",
		"a/data.bin":      "\x00",
		"a/a_test.go":     "package a\n",
		"testdata/t.txt":  "t",
		leanFile:          "before\n" + leanLine + "\nafter\n",
		"b/stringer.go":   leanLine,
		"testprotos/p.go": "package p\n",
	})
	to := filepath.Join(t.TempDir(), "module")
	for range 2 {
		if err := copyLean(from, to); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"go.mod": "module x\n", "a/data.bin": "\x00", leanFile: "before\n\nafter\n", "b/stringer.go": leanLine,
		"a/a_test.go": "", "testdata/t.txt": "", "testprotos/p.go": "",
	} {
		got, err := os.ReadFile(filepath.Join(to, name))
		if string(got) != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
