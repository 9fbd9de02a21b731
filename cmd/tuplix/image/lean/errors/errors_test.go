package errors_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	theirs "github.com/cockroachdb/errors"

	ours "github.com/tuplix/tuplix/cmd/tuplix/image/lean/errors"
)

// maker is the functions of both packages that make errors.
type maker struct {
	newf, errorf, assert func(string, ...any) error
	wrap                 func(error, string) error
	wrapf                func(error, string, ...any) error
	mark, combine, also  func(error, error) error
	join                 func(...error) error
	detail, hint, safe   func(error, string, ...any) error
	stack                func(error) error
}

var ref = theirs.New("reference")

// cases make the same errors by either package.
var cases = map[string]func(m maker) error{
	"newf":         func(m maker) error { return m.newf("a %d %s", 1, theirs.Safe("b")) },
	"errorf wraps": func(m maker) error { return m.errorf("reading: %w", io.EOF) },
	"wrap":         func(m maker) error { return m.wrap(io.EOF, "reading") },
	"wrap empty":   func(m maker) error { return m.wrap(io.EOF, "") },
	"wrap nil":     func(m maker) error { return m.wrap(nil, "reading") },
	"wrapf":        func(m maker) error { return m.wrapf(m.wrap(io.EOF, "reading"), "file %06d", 7) },
	"wrapf nil":    func(m maker) error { return m.wrapf(nil, "file %d", 7) },
	"mark":         func(m maker) error { return m.wrap(m.mark(io.ErrUnexpectedEOF, ref), "x") },
	"mark twice":   func(m maker) error { return m.mark(m.mark(io.EOF, ref), os.ErrNotExist) },
	"mark nil":     func(m maker) error { return m.mark(nil, ref) },
	"combine":      func(m maker) error { return m.combine(io.EOF, ref) },
	"combine nil":  func(m maker) error { return m.combine(nil, ref) },
	"combine one":  func(m maker) error { return m.combine(io.EOF, nil) },
	"combine none": func(m maker) error { return m.combine(nil, nil) },
	"also":         func(m maker) error { return m.also(io.EOF, ref) },
	"also nil":     func(m maker) error { return m.also(nil, ref) },
	"join":         func(m maker) error { return m.join(io.EOF, nil, ref) },
	"join none":    func(m maker) error { return m.join(nil) },
	"assert":       func(m maker) error { return m.assert("broken: %v", 3) },
	"assert wraps": func(m maker) error { return m.assert("broken: %w", io.EOF) },
	"details":      func(m maker) error { return m.safe(m.hint(m.detail(m.stack(io.EOF), "d %d", 1), "h"), "s") },
	"details nil":  func(m maker) error { return m.safe(m.hint(m.detail(m.stack(nil), "d"), "h"), "s") },
}

// Errors have the text of those of the package that is stood for, and Is of either
// package and of the standard library finds the same in them.
func TestLikeTheirs(t *testing.T) {
	their := maker{theirs.Newf, theirs.Errorf, theirs.AssertionFailedf, theirs.Wrap, theirs.Wrapf, theirs.Mark, theirs.CombineErrors,
		theirs.WithSecondaryError, theirs.Join, theirs.WithDetailf, theirs.WithHintf, theirs.WithSafeDetails, theirs.WithStack}
	our := maker{ours.Newf, ours.Errorf, ours.AssertionFailedf, ours.Wrap, ours.Wrapf, ours.Mark, ours.CombineErrors,
		ours.WithSecondaryError, ours.Join, ours.WithDetailf, ours.WithHintf, ours.WithSafeDetails, ours.WithStack}
	for name, c := range cases {
		a, b := c(our), c(their)
		if fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%s: %v, theirs: %v", name, a, b)
		}
		for _, target := range []error{io.EOF, io.ErrUnexpectedEOF, ref, os.ErrNotExist} {
			want := theirs.Is(b, target)
			if ours.Is(a, target) != want || theirs.Is(a, target) != want {
				t.Errorf("%s: is %v: ours %v, by theirs %v, want %v", name, target, ours.Is(a, target), theirs.Is(a, target), want)
			}
		}
		if ours.IsAssertionFailure(a) != theirs.IsAssertionFailure(b) {
			t.Errorf("%s: a failed assertion: %v", name, ours.IsAssertionFailure(a))
		}
		if b != nil && ours.UnwrapAll(a).Error() != theirs.UnwrapAll(b).Error() && !strings.HasPrefix(name, "assert") && name != "newf" {
			t.Errorf("%s: innermost %v, theirs %v", name, ours.UnwrapAll(a), theirs.UnwrapAll(b))
		}
	}
}

// What goes along with an error can be seen.
func TestSecondary(t *testing.T) {
	err := ours.CombineErrors(io.EOF, ref)
	if s := fmt.Sprintf("%+v", err); s != "EOF (also: reference)" && !strings.HasPrefix(s, "EOF (also: reference") {
		t.Errorf("%q", s)
	}
	if s := fmt.Sprintf("%v", err); s != "EOF" {
		t.Errorf("%q", s)
	}
	var path *os.PathError
	if !ours.As(ours.Wrap(&os.PathError{Op: "open", Path: "x", Err: os.ErrExist}, "y"), &path) || path.Path != "x" {
		t.Errorf("not found: %v", path)
	}
}
