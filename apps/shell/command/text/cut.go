package text

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var cutCommand = &command.Command{
	Name: "cut", Usage: "-b list | -c list | -f list [-d delimiter] [-s] [file...]",
	Summary: "print parts of lines: bytes, characters or fields", Run: cut,
}

// span is a range of positions, from 1, both ends included.
type span struct{ from, to int }

const forever = int(^uint(0) >> 1)

// parseSpans reads a list such as "1,3-5,7-".
func parseSpans(list string) ([]span, error) {
	var spans []span
	for part := range strings.SplitSeq(list, ",") {
		from, to, ranged := strings.Cut(part, "-")
		s := span{1, forever}
		var errs [2]error
		if from != "" {
			s.from, errs[0] = strconv.Atoi(from)
		}
		if !ranged {
			s.to = s.from
		} else if to != "" {
			s.to, errs[1] = strconv.Atoi(to)
		}
		if errors.Join(errs[:]...) != nil || from == "" && to == "" || s.from < 1 || s.to < s.from {
			return nil, command.Usagef("%q is not a list such as 1,3-5,7-", list)
		}
		spans = append(spans, s)
	}
	return spans, nil
}

func chosen(spans []span, at int) bool {
	for _, s := range spans {
		if at >= s.from && at <= s.to {
			return true
		}
	}
	return false
}

func cut(_ context.Context, c *command.Call) error {
	o := c.Options()
	byBytes := o.String("b,bytes", "LIST", "", "bytes")
	byRunes := o.String("c,characters", "LIST", "", "characters (of UTF-8)")
	byFields := o.String("f,fields", "LIST", "", "fields")
	delimiter := o.String("d,delimiter", "C", "\t", "what stands between fields; a tab by default")
	strict := o.Flag("s,only-delimited", "no lines without a delimiter")
	names, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	var pick func(line []byte, spans []span) (out []byte, ok bool)
	list := ""
	for _, way := range []struct {
		list string
		pick func(line []byte, spans []span) ([]byte, bool)
	}{
		{*byBytes, cutBytes},
		{*byRunes, cutRunes},
		{*byFields, func(line []byte, spans []span) ([]byte, bool) { return cutFields(line, spans, *delimiter, *strict) }},
	} {
		if way.list == "" {
			continue
		}
		if list != "" {
			return command.Usagef("say only one of -b, -c and -f")
		}
		list, pick = way.list, way.pick
	}
	if pick == nil || *delimiter == "" {
		return command.Usagef("say one of -b, -c and -f, and a delimiter that is not empty")
	}
	spans, err := parseSpans(list)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.Out)
	err = c.Inputs(names, func(_ string, r io.Reader) error {
		return eachLine(r, out, func(line []byte) (bool, error) {
			if part, ok := pick(line, spans); ok {
				out.Write(part) // a bufio.Writer keeps its error for Flush
				out.WriteByte('\n')
			}
			return true, nil
		})
	})
	return errors.Join(err, out.Flush())
}

func cutBytes(line []byte, spans []span) ([]byte, bool) {
	var out []byte
	for i, b := range line {
		if chosen(spans, i+1) {
			out = append(out, b)
		}
	}
	return out, true
}

func cutRunes(line []byte, spans []span) ([]byte, bool) {
	var out []rune
	for i, r := range []rune(string(line)) {
		if chosen(spans, i+1) {
			out = append(out, r)
		}
	}
	return []byte(string(out)), true
}

func cutFields(line []byte, spans []span, delimiter string, strict bool) ([]byte, bool) {
	fields := bytes.Split(line, []byte(delimiter))
	if len(fields) == 1 {
		return line, !strict
	}
	var out [][]byte
	for i, f := range fields {
		if chosen(spans, i+1) {
			out = append(out, f)
		}
	}
	return bytes.Join(out, []byte(delimiter)), true
}
