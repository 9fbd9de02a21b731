package console

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func completer(t *testing.T, names ...string) Completer {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o777); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return Completer{
		Words: func() []string { return []string{"cat", "chmod", "clear", "sha256sum"} },
		Dir:   func() string { return dir },
	}
}

func TestComplete(t *testing.T) {
	c := completer(t, "one file", "pair-a", "pair-b", "sub/", "sub/inner", ".hidden")
	for _, test := range []struct{ line, want, choices string }{ // the cursor is at |
		{"sha|", "sha256sum |", ""},
		{"c|", "c|", "cat chmod clear"},
		{"ch|", "chmod |", ""},
		{"echo x | sh| y", "echo x | sha256sum | y", ""},
		{"cat on|", `cat one\ file |`, ""},
		{`cat one\ f|`, `cat one\ file |`, ""},
		{"cat p|", "cat pair-|", ""},
		{"cat pair-|", "cat pair-|", "pair-a pair-b"},
		{"cat s|", "cat sub/|", ""},
		{"cat sub/|", "cat sub/inner |", ""},
		{"cat nothing|", "cat nothing|", ""},
		{"cat .h|", "cat .hidden |", ""},
		{"cat >pair-a|", "cat >pair-a |", ""},
	} {
		at := strings.LastIndex(test.line, "|")
		if n := strings.Index(test.line, "| y"); n >= 0 {
			at = strings.Index(test.line, "sh| y") + 2
		}
		line := test.line[:at] + test.line[at+1:]
		got, pos, choices := c.apply(line, at)
		if shown := got[:pos] + "|" + got[pos:]; shown != test.want || strings.Join(choices, " ") != test.choices {
			t.Errorf("%s: %s with %q, want %s", test.line, shown, choices, test.want)
		}
	}
}

func FuzzComplete(f *testing.F) {
	f.Add(`cat one\ f`, 5)
	f.Add(`a|b`, 3)
	f.Add("c\\", 2)
	f.Fuzz(func(t *testing.T, line string, at int) {
		if at < 0 || at > len(line) || strings.Contains(line, "/") {
			return
		}
		c := completer(t, "one file", "ünder", "$x")
		got, pos, _ := c.apply(line, at)
		if pos < 0 || pos > len(got) || !strings.HasSuffix(got, line[at:]) {
			t.Errorf("%q at %d: %q at %d", line, at, got, pos)
		}
	})
}

func TestHistory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "deep", "history")
	h, err := LoadHistory(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"one", "two", "two", "", " secret", "three"} {
		h.Add(line)
	}
	if h.Err() != nil || h.Len() != 3 || h.At(0) != "three" || h.At(2) != "one" {
		t.Errorf("%d lines, %v", h.Len(), h.Err())
	}
	if h.Find("o", 0) != 1 || h.Find("o", 2) != 2 || h.Find("four", 0) != -1 {
		t.Error("it finds the wrong lines")
	}
	again, err := LoadHistory(file)
	if err != nil || again.Len() != 3 || again.At(0) != "three" {
		t.Errorf("read again: %d lines, %v", again.Len(), err)
	}
	for i := range 3 * HistoryLimit {
		again.Add(fmt.Sprint("line ", i))
	}
	short, err := LoadHistory(file)
	if err != nil || short.Len() != HistoryLimit || short.At(0) != fmt.Sprint("line ", 3*HistoryLimit-1) {
		t.Errorf("a long history: %d lines, %v", short.Len(), err)
	}
	text, err := os.ReadFile(file)
	if n := strings.Count(string(text), "\n"); err != nil || n != HistoryLimit {
		t.Errorf("the file was not shortened: %d lines, %v", n, err)
	}
}

func TestPlainLines(t *testing.T) {
	r := strings.NewReader("one\r\n\ntwo")
	line := PlainLines(r)
	for _, want := range []string{"one\n", "\n", "two"} {
		if got, _ := line(false); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got, err := line(false); got != "" || err == nil {
		t.Errorf("after the end: %q, %v", got, err)
	}
}
