package transcript

import (
	"context"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/services/user"
)

// Line is a command in words: "as USER WORD ARGS... NAME=VALUE...", where the first two
// may be missing. In values an underscore is a space.
type Line struct {
	User    string // "": who speaks is not named
	Word    string
	Args    []string
	Options map[string]string
}

// Parse takes a command apart.
func Parse(line string) Line {
	words := strings.Fields(line)
	l := Line{Options: map[string]string{}}
	if len(words) > 2 && words[0] == "as" {
		l.User, words = words[1], words[2:]
	}
	if len(words) == 0 {
		return l
	}
	l.Word = words[0]
	for _, w := range words[1:] {
		if name, value, ok := strings.Cut(w, "="); ok {
			l.Options[name] = strings.ReplaceAll(value, "_", " ")
		} else {
			l.Args = append(l.Args, w)
		}
	}
	return l
}

// Arg returns an argument, "" if there are fewer.
func (l *Line) Arg(i int) string {
	if i < len(l.Args) {
		return l.Args[i]
	}
	return ""
}

// Verbs are what the commands of a transcript mean, by their words. The context is the
// test's, with the user as the caller where the line names one. What a verb returns is the
// answer, each in a line of its own, and then the error.
type Verbs map[string]func(ctx context.Context, l Line) (string, error)

// Command returns the command function for Run. Callers are of a program, which may be
// empty.
func (v Verbs) Command(t *testing.T, program string) func(line string) string {
	return func(line string) string {
		l := Parse(line)
		verb := v[l.Word]
		if verb == nil {
			t.Fatalf("there is no command %q", l.Word)
		}
		ctx := t.Context()
		if l.User != "" {
			ctx = user.With(ctx, user.Caller{User: l.User, Program: program})
		}
		out, err := verb(ctx, l)
		if out != "" && !strings.HasSuffix(out, "\n") {
			out += "\n"
		}
		if err != nil {
			out += "error: " + err.Error() + "\n"
		}
		return out
	}
}
