package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/apps/shell/session"
	"github.com/tuplix/tuplix/dbms/engine"
	tuplix "github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/user"
)

var update = flag.Bool("update", false, "write what the shell says into the transcripts")

// output collects what a shell and its jobs print.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// take returns what came since the last time.
func (o *output) take() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.buf.String()
	o.buf.Reset()
	return s
}

// memory is a machine whose services keep everything in memory.
func memory(t *testing.T) *machine {
	return &machine{start: func(ctx context.Context) (*tuplix.System, error) {
		s, err := tuplix.Open(ctx, vfs.NewMem(), tuplix.Options{})
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() {
			if err := s.Store.Check(context.Background(), func(p engine.Problem) { t.Error(p) }); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s, nil
	}}
}

// newSession returns a shell in a new directory that prints into the returned output.
func newSession(t *testing.T) (*session.Session, *output) {
	t.Helper()
	out := new(output)
	m := memory(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	s, err := session.New(session.Options{
		Stdin: null, Stdout: out, Stderr: out, Dir: t.TempDir(),
		Env: []string{"HOME=/", "PATH=/bin", "TZ=UTC"}, Interactive: true, Allow: m.allow,
	}, m.commands()...)
	if err != nil {
		t.Fatal(err)
	}
	return s, out
}

// A transcript is a text of commands and what the shell answers:
//
//	# a comment
//	$ command
//	> its continuation
//	what it prints
//	[status, unless 0]
//	ann$ command of another user than root
//
// Names of the shell's directory are shown as $DIR.
func TestTranscripts(t *testing.T) {
	names, err := filepath.Glob("testdata/*.transcript")
	if err != nil || len(names) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".transcript"), func(t *testing.T) {
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("the transcript differs:\n%s", difference(string(want), got))
			}
		})
	}
}

// spoken begins a command: $, or the name of who says it and $.
var spoken = regexp.MustCompile(`^([a-z]*)\$ (.*)`)

// play runs the commands of a transcript and returns it with the answers.
func play(t *testing.T, transcript string) string {
	s, out := newSession(t)
	top := s.Dir()
	var result strings.Builder
	var script []string
	by := ""
	run := func() {
		if script == nil {
			return
		}
		status := s.Text(strings.Join(script, "\n"), deadline(t, by))
		printed := strings.ReplaceAll(out.take(), top, "$DIR")
		result.WriteString(printed)
		if printed != "" && !strings.HasSuffix(printed, "\n") {
			result.WriteString("\n")
		}
		if status != 0 {
			fmt.Fprintf(&result, "[%d]\n", status)
		}
		script = nil
	}
	for line := range strings.Lines(transcript) {
		said := spoken.FindStringSubmatch(line)
		starts := said != nil
		if starts || strings.HasPrefix(line, "#") {
			run()
		}
		more, continues := strings.CutPrefix(line, "> ")
		switch {
		case starts:
			by, script = said[1], []string{said[2]}
		case continues && script != nil:
			script = append(script, strings.TrimSuffix(more, "\n"))
		case !strings.HasPrefix(line, "#"):
			continue
		}
		result.WriteString(line)
	}
	run()
	return result.String()
}

// deadline gives each line its own context, as the console does, of a user; "": of
// root.
func deadline(t *testing.T, by string) func() (context.Context, func()) {
	return func() (context.Context, func()) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if by != "" {
			ctx = user.With(ctx, user.Caller{User: by})
		}
		t.Cleanup(cancel)
		return ctx, func() {}
	}
}

// difference shows the first lines that differ.
func difference(want, got string) string {
	w, g := strings.SplitAfter(want, "\n"), strings.SplitAfter(got, "\n")
	for i := range max(len(w), len(g)) {
		switch {
		case i >= len(g):
			return fmt.Sprintf("line %d: want %q, got the end", i+1, w[i])
		case i >= len(w):
			return fmt.Sprintf("line %d: want the end, got %q", i+1, g[i])
		case w[i] != g[i]:
			return fmt.Sprintf("line %d:\nwant %qgot  %q", i+1, w[i]+"\n", g[i])
		}
	}
	return "nothing"
}

// TestInterrupt sees that Ctrl-C ends what waits, what computes and what
// writes, and that the shell goes on.
func TestInterrupt(t *testing.T) {
	for _, line := range []string{
		"sleep 600", "yes > /dev/null", "while true; do :; done", "cat /dev/zero | sleep 600",
		"yes | tr a b | cat > /dev/null", "tail -f file",
	} {
		t.Run(line, func(t *testing.T) {
			s, out := newSession(t)
			if status := s.Text("echo x > file", session.Background); status != 0 {
				t.Fatal(out.take())
			}
			ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
			defer cancel()
			status := s.Text(line, func() (context.Context, func()) { return ctx, func() {} })
			if status != 130 {
				t.Errorf("status %d, want 130; it printed %q", status, out.take())
			}
			out.take()
			if status := s.Text("echo on", session.Background); status != 0 || out.take() != "on\n" {
				t.Errorf("the shell does not go on: status %d", status)
			}
		})
	}
}

// TestLineByLine sees that a line runs before the next one is asked for.
func TestLineByLine(t *testing.T) {
	s, out := newSession(t)
	lines := []string{"echo one", "for i in 2 3; do", "echo $i", "done", "exit 7", "echo never"}
	printed := []string{"", "one\n", "", "", "2\n3\n"}
	at := 0
	status := s.Run(session.Source{Foreground: session.Background, Line: func(more bool) (string, error) {
		if at == len(lines) {
			return "", io.EOF
		}
		if at < len(printed) && out.take() != printed[at] {
			t.Errorf("before line %d it has not printed %q", at+1, printed[at])
		}
		if more != (at == 2 || at == 3) {
			t.Errorf("line %d: more is %v", at+1, more)
		}
		at++
		return lines[at-1], nil
	}})
	if status != 7 || at != 5 {
		t.Errorf("status %d after %d lines, want 7 after 5", status, at)
	}
}

func TestReadyLine(t *testing.T) {
	for _, c := range []struct{ forwards, want string }{
		{"", "Tuplix ready in 0.41 s: shell on this console"},
		{"8080:80", "Tuplix ready in 0.41 s: shell on this console, http://localhost:8080/ (host port 8080)"},
		{"8080:80,2222:22", "Tuplix ready in 0.41 s: shell on this console, http://localhost:8080/ (host port 8080), ssh -p 2222 root@localhost (host port 2222)"},
		{"x,1", "Tuplix ready in 0.41 s: shell on this console"},
	} {
		if got := readyLine(410*time.Millisecond, true, c.forwards, false); got != c.want {
			t.Errorf("%q: got %q, want %q", c.forwards, got, c.want)
		}
	}
}
