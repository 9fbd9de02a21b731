package redact_test

import (
	"testing"

	theirs "github.com/cockroachdb/redact"

	"github.com/tuplix/tuplix/cmd/tuplix/image/lean/redact"
)

// writer is what values write themselves to, in both packages.
type writer interface {
	Print(args ...any)
	Printf(format string, args ...any)
}

// writeAll is of a value with a part, each by its own package's types.
func writeAll(w writer, text, part any) {
	w.Print(text, " ", 7)
	w.Printf("[%s|%v|%d|%6.2f|%-8s|%x]", part, part, 42, 1.5, text, []byte("ab"))
	w.Printf("100%%")
	w.Print(part)
}

type ourPart struct{ n int }

func (p ourPart) SafeFormat(w redact.SafePrinter, verb rune) {
	w.SafeString("part ")
	w.SafeInt(redact.SafeInt(p.n))
	w.SafeRune('/')
	w.SafeUint(3)
}

type ourWhole struct{}

func (ourWhole) SafeFormat(w redact.SafePrinter, verb rune) {
	writeAll(w, redact.SafeString("text"), ourPart{5})
	w.Print(redact.Safe("safe"))
	w.UnsafeString("end")
}

type theirPart struct{ n int }

func (p theirPart) SafeFormat(w theirs.SafePrinter, verb rune) {
	w.SafeString("part ")
	w.SafeInt(theirs.SafeInt(p.n))
	w.SafeRune('/')
	w.SafeUint(3)
}

type theirWhole struct{}

func (theirWhole) SafeFormat(w theirs.SafePrinter, verb rune) {
	writeAll(w, theirs.SafeString("text"), theirPart{5})
	w.Print(theirs.Safe("safe"))
	w.UnsafeString("end")
}

// Texts are those of the package that is stood for.
func TestLikeTheirs(t *testing.T) {
	if got, want := redact.StringWithoutMarkers(ourWhole{}), theirs.StringWithoutMarkers(theirWhole{}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got := redact.Sprintf("%s=%d, %v", "a", redact.Safe(1), ourPart{2})
	want := theirs.Sprintf("%s=%d, %v", "a", theirs.Safe(1), theirPart{2}).StripMarkers()
	if got.StripMarkers() != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
