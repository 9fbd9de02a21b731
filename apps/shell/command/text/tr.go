package text

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var trCommand = &command.Command{
	Name: "tr", Usage: "[-cds] set1 [set2]", Summary: "replace, remove or squeeze characters", Run: tr,
}

// translation is one run of tr.
type translation struct {
	from, to        []rune
	complement      bool
	remove, squeeze bool
	index           map[rune]int  // where in from a character stands
	last            map[rune]bool // what is in to
}

func tr(_ context.Context, c *command.Call) error {
	o := c.Options()
	complement := o.Flag("c,complement", "set1 is everything that is not in it")
	remove := o.Flag("d,delete", "remove the characters of set1")
	squeeze := o.Flag("s,squeeze-repeats", "make runs of one character of the last set one")
	sets, err := o.Parse(1, 2)
	if err != nil {
		return err
	}
	if len(sets) == 1 && !*remove && !*squeeze {
		return command.Usagef("set2 is missing: what to put in place of %q", sets[0])
	}
	t := &translation{complement: *complement, remove: *remove, squeeze: *squeeze}
	if t.from, err = expandSet(sets[0]); err != nil {
		return err
	}
	if len(sets) == 2 {
		if t.to, err = expandSet(sets[1]); err != nil {
			return err
		}
		if len(t.to) == 0 {
			return command.Usagef("set2 is empty")
		}
	}
	return t.run(c.Out, c.In)
}

var classes = map[string]func(rune) bool{
	"alpha": unicode.IsLetter, "digit": unicode.IsDigit, "lower": unicode.IsLower,
	"upper": unicode.IsUpper, "space": unicode.IsSpace, "punct": unicode.IsPunct,
	"alnum": func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) },
	"blank": func(r rune) bool { return r == ' ' || r == '\t' },
	"cntrl": unicode.IsControl, "print": unicode.IsPrint,
}

// expandSet turns "a-z\n[:digit:]" into its characters. A class stands for its
// ASCII members, in order.
func expandSet(set string) ([]rune, error) {
	var out []rune
	for set != "" {
		if name, rest, ok := strings.Cut(strings.TrimPrefix(set, "[:"), ":]"); ok && strings.HasPrefix(set, "[:") {
			in := classes[name]
			if in == nil {
				return nil, command.Usagef("there is no class [:%s:]", name)
			}
			for r := rune(0); r < unicode.MaxASCII+1; r++ {
				if in(r) {
					out = append(out, r)
				}
			}
			set = rest
			continue
		}
		first, rest, err := character(set)
		if err != nil {
			return nil, err
		}
		last := first
		if len(rest) > 1 && rest[0] == '-' {
			if last, rest, err = character(rest[1:]); err != nil {
				return nil, err
			}
			if last < first {
				return nil, command.Usagef("the range %c-%c goes backwards", first, last)
			}
		}
		for r := first; r <= last; r++ {
			out = append(out, r)
		}
		set = rest
	}
	return out, nil
}

// character takes one character, which a backslash may write as \n, \t or \0ctal.
func character(s string) (rune, string, error) {
	if s[0] == '\\' && len(s) > 1 {
		next := s[1:min(4, len(s))]
		if digits := len(next) - len(strings.TrimLeft(next, "01234567")); digits > 0 {
			n, err := strconv.ParseUint(next[:digits], 8, 16)
			return rune(n), s[1+digits:], err
		}
		if at := strings.IndexByte(`abfnrtv\`, s[1]); at >= 0 {
			return rune("\a\b\f\n\r\t\v\\"[at]), s[2:], nil
		}
		s = s[1:]
	}
	r, size := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && size <= 1 {
		return 0, "", command.Usagef("a set is not UTF-8")
	}
	return r, s[size:], nil
}

// put returns what r becomes, and false if it goes.
func (t *translation) put(r rune) (rune, bool) {
	at, in := t.index[r]
	if t.complement {
		in, at = !in, len(t.from)
	}
	switch {
	case !in:
		return r, true
	case t.remove:
		return 0, false
	case t.to == nil:
		return r, true
	}
	return t.to[min(at, len(t.to)-1)], true
}

// squeezable reports whether runs of r become one.
func (t *translation) squeezable(r rune) bool {
	if t.to != nil {
		return t.last[r]
	}
	_, in := t.index[r]
	return in != t.complement
}

// prepare makes the tables that put and squeezable look characters up in.
func (t *translation) prepare() {
	t.index, t.last = make(map[rune]int), make(map[rune]bool)
	for i, r := range t.from {
		t.index[r] = i // the last one counts, as in every tr
	}
	for _, r := range t.to {
		t.last[r] = true
	}
}

func (t *translation) run(w io.Writer, r io.Reader) error {
	t.prepare()
	in, out := bufio.NewReader(r), bufio.NewWriter(w)
	last := rune(-1)
	for {
		c, size, err := in.ReadRune()
		if err == io.EOF {
			return out.Flush()
		}
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		if c == unicode.ReplacementChar && size == 1 {
			if err := in.UnreadRune(); err != nil {
				return err
			}
			b, err := in.ReadByte() // not UTF-8: the byte goes through as it is
			if err != nil {
				return err
			}
			out.WriteByte(b) // a bufio.Writer keeps its error for Flush
			last = -1
			continue
		}
		c, keep := t.put(c)
		if !keep || t.squeeze && c == last && t.squeezable(c) {
			continue
		}
		last = c
		out.WriteRune(c)
		if c == '\n' && in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}
