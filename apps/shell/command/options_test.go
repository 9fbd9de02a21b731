package command

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// parse reads args as a command with an option of each kind does.
func parse(args []string, inOrder bool) (flag bool, n int, text string, operands []string, err error) {
	c := &Call{Command: &Command{Name: "x", Usage: "[...]"}, Args: args, Out: io.Discard, Err: io.Discard}
	o := c.Options()
	o.InOrder = inOrder
	f := o.Flag("f,flag", "a flag")
	i := o.Int("n,number", "N", 10, 0, "a number")
	s := o.String("s", "TEXT", "", "a text")
	operands, err = o.Parse(0, -1)
	return *f, *i, *s, operands, err
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		args     string
		flag     bool
		n        int
		text     string
		operands string
	}{
		{"", false, 10, "", ""},
		{"a -f b", true, 10, "", "a b"},
		{"-fn5 a", true, 5, "", "a"},
		{"-n 5 -sx=y", false, 5, "x=y", ""},
		{"--number=7 --flag", true, 7, "", ""},
		{"--number 7", false, 7, "", ""},
		{"- -- -f", false, 10, "", "- -f"},
	} {
		flag, n, text, operands, err := parse(strings.Fields(c.args), false)
		if err != nil || flag != c.flag || n != c.n || text != c.text || strings.Join(operands, " ") != c.operands {
			t.Errorf("%q: %v %d %q %q, %v", c.args, flag, n, text, operands, err)
		}
	}
	if flag, _, _, operands, err := parse([]string{"cmd", "-f"}, true); flag || err != nil || len(operands) != 2 {
		t.Errorf("in order: %v %q %v", flag, operands, err)
	}
	for _, bad := range []string{"-x", "--nope", "-n", "-n -1", "-n x", "--flag=1", "--f", "--n 3"} {
		var usage *UsageError
		if _, _, _, _, err := parse(strings.Fields(bad), false); !errors.As(err, &usage) {
			t.Errorf("%q: %v, want an error about its use", bad, err)
		}
	}
	if _, _, _, _, err := parse([]string{"-fh"}, false); err != ErrHelp {
		t.Errorf("-h: %v", err)
	}
}

func FuzzOptions(f *testing.F) {
	f.Add("-f\n-n5\n--number=7\n--\n-x", true)
	f.Add("-\n--flag\na", false)
	f.Fuzz(func(t *testing.T, args string, inOrder bool) {
		given := strings.Split(args, "\n")
		_, n, _, operands, err := parse(given, inOrder)
		if err != nil {
			return
		}
		if n < 0 || len(operands) > len(given) {
			t.Errorf("%q: number %d, operands %q", given, n, operands)
		}
	})
}

func TestPanic(t *testing.T) {
	var out bytes.Buffer
	cmd := &Command{Name: "x", Run: func(context.Context, *Call) error { panic("oh") }}
	if status := cmd.Status(context.Background(), &Call{Out: io.Discard, Err: &out}); status != StatusFailed {
		t.Errorf("status %d", status)
	}
	if !strings.Contains(out.String(), "oh") {
		t.Errorf("it says %q", out.String())
	}
}

func TestRegistry(t *testing.T) {
	run := func(context.Context, *Call) error { return nil }
	make := func(names ...string) (list []*Command) {
		for _, n := range names {
			list = append(list, &Command{Name: n, Summary: "s", Run: run})
		}
		return list
	}
	if _, err := NewRegistry(make("a", "b"), make("a")); err == nil {
		t.Error("two commands of one name are accepted")
	}
	if _, err := NewRegistry([]*Command{{Name: "a"}}); err == nil {
		t.Error("a command without a function is accepted")
	}
	r, err := NewRegistry(make("grep", "ls", "sort", "gzip"))
	if err != nil {
		t.Fatal(err)
	}
	for typed, want := range map[string]string{"gerp": "grep", "sl": "ls", "sotr": "sort", "gzp": "gzip", "completely": "", "x": ""} {
		if got := strings.Join(r.Near(typed), " "); got != want {
			t.Errorf("near %s: %q, want %q", typed, got, want)
		}
	}
	if r.Lookup("/bin/ls") == nil || r.Lookup("/bin/nothing") != nil || r.Lookup("./ls") != nil {
		t.Error("names with a directory are looked up wrongly")
	}
	if !slices.IsSorted(r.Names()) {
		t.Error("the names are not sorted")
	}
}
