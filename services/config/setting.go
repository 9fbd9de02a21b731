package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuplix/tuplix/kernel/cmdline"
)

// Declared is a Setting of any type.
type Declared interface {
	// Name returns the setting's name: words with dots between, lower case.
	Name() string

	describe() Row
	parse(text string) (any, error)
}

// Setting is a declaration. It is made once, usually as a variable of a package,
// and used with any number of Services.
type Setting[T any] struct {
	name, kind, doc string
	initial         T
	from            func(text string) (T, error)
	text            func(T) string
	check           func(T) error
	rule            string // what check demands, for people
}

// New declares a setting of any type by how it is read and written as text. The
// kind names the type for people.
func New[T any](name, kind string, initial T, doc string, from func(string) (T, error), text func(T) string) *Setting[T] {
	return &Setting[T]{name: name, kind: kind, initial: initial, doc: doc, from: from, text: text}
}

// Bool declares a setting that is true or false.
func Bool(name string, initial bool, doc string) *Setting[bool] {
	return New(name, "bool", initial, doc, strconv.ParseBool, strconv.FormatBool)
}

// Int declares a whole number.
func Int(name string, initial int64, doc string) *Setting[int64] {
	from := func(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) }
	return New(name, "int", initial, doc, from, func(n int64) string { return strconv.FormatInt(n, 10) })
}

// Text declares any text.
func Text(name, initial, doc string) *Setting[string] {
	from := func(text string) (string, error) { return text, nil }
	return New(name, "text", initial, doc, from, func(s string) string { return s })
}

// Duration declares a time span, written as 90s, 1h30m or 7d.
func Duration(name string, initial time.Duration, doc string) *Setting[time.Duration] {
	return New(name, "duration", initial, doc, parseDuration, time.Duration.String)
}

// Size declares a number of bytes, written as 4096, 64KiB, 16MiB or 1GiB.
func Size(name string, initial int64, doc string) *Setting[int64] {
	return New(name, "size", initial, doc, parseSize, formatSize)
}

// Check has the setting refuse values for which ok returns an error. The rule says
// for people what is asked.
func (s *Setting[T]) Check(rule string, ok func(T) error) *Setting[T] {
	s.rule, s.check = rule, ok
	return s
}

// Between has an ordered setting refuse what is less than low or more than high.
func Between[T cmp.Ordered](s *Setting[T], low, high T) *Setting[T] {
	rule := fmt.Sprintf("from %s to %s", s.text(low), s.text(high))
	return s.Check(rule, func(v T) error {
		if v < low || v > high {
			return fmt.Errorf("%s is not %s", s.text(v), rule)
		}
		return nil
	})
}

// OneOf has a setting of text take only one of some words.
func OneOf(s *Setting[string], words ...string) *Setting[string] {
	rule := "one of " + strings.Join(words, ", ")
	return s.Check(rule, func(v string) error {
		if !slices.Contains(words, v) {
			return fmt.Errorf("%q is not %s", v, rule)
		}
		return nil
	})
}

// Name returns the setting's name.
func (s *Setting[T]) Name() string { return s.name }

// In returns the present value. It is the default where the service does not know
// the setting.
func (s *Setting[T]) In(c *Service) T {
	if v, ok := c.value(s.name).(T); ok {
		return v
	}
	return s.initial
}

func (s *Setting[T]) describe() Row {
	return Row{Name: s.name, Type: s.kind, Default: s.text(s.initial), Rule: s.rule, Doc: s.doc}
}

func (s *Setting[T]) parse(text string) (any, error) {
	v, err := s.from(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not a %s: %w", text, s.kind, err)
	}
	if s.check != nil {
		if err := s.check(v); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// parseDuration is time.ParseDuration with days.
func parseDuration(text string) (time.Duration, error) {
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		return time.ParseDuration(text)
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, err
	}
	d := time.Duration(n) * 24 * time.Hour
	if rest == "" {
		return d, nil
	}
	more, err := time.ParseDuration(rest)
	return d + more, err
}

var sizes = []struct {
	name  string
	shift uint
}{{"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"", 0}}

func parseSize(text string) (int64, error) {
	for _, u := range sizes {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err == nil && n<<u.shift>>u.shift != n {
			err = strconv.ErrRange
		}
		return n << u.shift, err
	}
	return 0, strconv.ErrSyntax
}

func formatSize(n int64) string {
	for _, u := range sizes {
		if n != 0 && n&(1<<u.shift-1) == 0 {
			return strconv.FormatInt(n>>u.shift, 10) + u.name
		}
	}
	return "0"
}

// Overrides are the settings that a boot's command line names (set.NAME=VALUE): all
// of them, or of the given ones.
func Overrides(line *cmdline.Line, of ...Declared) map[string]string {
	set := map[string]string{}
	for _, o := range line.Options {
		name, ok := strings.CutPrefix(o.Name, "set.")
		if ok && (of == nil || slices.ContainsFunc(of, func(d Declared) bool { return d.Name() == name })) {
			set[name] = o.Value
		}
	}
	return set
}
