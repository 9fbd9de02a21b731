package text

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var (
	sortCommand = &command.Command{
		Name: "sort", Usage: "[-bfnru] [-k field[,field]] [-t separator] [-o file] [file...]",
		Summary: "put lines in order", Run: sortLines,
	}
	uniqCommand = &command.Command{
		Name: "uniq", Usage: "[-cdiu] [file]", Summary: "print equal neighbours among lines once", Run: uniq,
	}
)

// order says how sort compares two lines.
type order struct {
	numeric, fold, blanks bool
	separator             string // "" splits at white space
	first, last           int    // fields, from 1; 0 is the whole line or its end
}

func sortLines(_ context.Context, c *command.Call) error {
	o := c.Options()
	numeric := o.Flag("n,numeric-sort", "by the number at the start")
	reverse := o.Flag("r,reverse", "the other way round")
	unique := o.Flag("u,unique", "one line of those that compare equal")
	fold := o.Flag("f,ignore-case", "capitals and small letters are the same")
	blanks := o.Flag("b,ignore-leading-blanks", "spaces at the start do not count")
	key := o.String("k,key", "FIELD[,FIELD]", "", "compare only these fields, counted from 1")
	separator := o.String("t,field-separator", "C", "", "what stands between fields; white space by default")
	output := o.String("o,output", "FILE", "", "write there; it may be one of the files read")
	names, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	by := order{numeric: *numeric, fold: *fold, blanks: *blanks, separator: *separator}
	if err := by.parseKey(*key); err != nil {
		return err
	}
	var lines []string
	err = c.Inputs(names, func(_ string, r io.Reader) error {
		return eachLine(r, nil, func(line []byte) (bool, error) {
			lines = append(lines, string(line))
			return true, nil
		})
	})
	if err != nil {
		return err
	}
	lines = by.sort(lines, *reverse, *unique)
	return writeLines(c, lines, *output)
}

// parseKey reads "2", "2,2" or, with letters that set options, "2n,2".
func (o *order) parseKey(key string) error {
	if key == "" {
		return nil
	}
	from, to, ranged := strings.Cut(key, ",")
	for i, part := range []string{from, to} {
		digits := strings.TrimRight(part, "nfbr")
		o.numeric = o.numeric || strings.Contains(part, "n")
		o.fold = o.fold || strings.Contains(part, "f")
		if i == 1 && !ranged {
			break
		}
		n, err := strconv.Atoi(digits)
		if err != nil || n < 1 || strings.Contains(part, "r") {
			return command.Usagef("-k: %q is not a field such as 2 or 2,3 or 2n", key)
		}
		if i == 0 {
			o.first = n
		} else {
			o.last = n
		}
	}
	return nil
}

func (o order) sort(lines []string, reverse, unique bool) []string {
	slices.SortStableFunc(lines, func(a, b string) int {
		c := o.compare(a, b)
		if c == 0 && !unique {
			c = strings.Compare(a, b)
		}
		if reverse {
			c = -c
		}
		return c
	})
	if unique {
		lines = slices.CompactFunc(lines, func(a, b string) bool { return o.compare(a, b) == 0 })
	}
	return lines
}

func (o order) compare(a, b string) int {
	a, b = o.key(a), o.key(b)
	if o.numeric {
		return cmp.Compare(leadingNumber(a), leadingNumber(b))
	}
	return strings.Compare(a, b)
}

// key returns the part of a line that is compared.
func (o order) key(line string) string {
	if o.first > 0 {
		split, joint := strings.Fields, " "
		if o.separator != "" {
			split, joint = func(s string) []string { return strings.Split(s, o.separator) }, o.separator
		}
		fields := split(line)
		to := len(fields)
		if o.last > 0 {
			to = min(to, o.last)
		}
		line = strings.Join(fields[min(o.first-1, to):to], joint)
	}
	if o.blanks {
		line = strings.TrimLeft(line, " \t")
	}
	if o.fold {
		line = strings.ToUpper(line)
	}
	return line
}

// leadingNumber is the decimal number that s begins with, 0 if with none.
func leadingNumber(s string) float64 {
	s = strings.TrimLeft(s, " \t")
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || s[end] == '.' || end == 0 && s[end] == '-') {
		end++
	}
	for ; end > 0; end-- { // "1.2.3" begins with 1.2
		if n, err := strconv.ParseFloat(s[:end], 64); err == nil {
			return n
		}
	}
	return 0
}

func writeLines(c *command.Call, lines []string, output string) error {
	w := c.Out
	if output != "" {
		f, err := os.Create(c.Path(output))
		if err != nil {
			return command.Named(output, err)
		}
		err = writeAll(f, lines)
		return command.Named(output, errors.Join(err, f.Close()))
	}
	return writeAll(w, lines)
}

func writeAll(w io.Writer, lines []string) error {
	out := bufio.NewWriter(w)
	for _, line := range lines {
		out.WriteString(line) // a bufio.Writer keeps its error for Flush
		out.WriteByte('\n')
	}
	return out.Flush()
}

func uniq(_ context.Context, c *command.Call) error {
	o := c.Options()
	count := o.Flag("c,count", "put before each line how often it came")
	repeated := o.Flag("d,repeated", "only lines that came more than once")
	single := o.Flag("u,unique", "only lines that came once")
	fold := o.Flag("i,ignore-case", "capitals and small letters are the same")
	names, err := o.Parse(0, 1)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.Out)
	last, times := "", 0
	emit := func() {
		switch {
		case times == 0, *repeated && times == 1, *single && times > 1:
		case *count:
			fmt.Fprintf(out, "%7d %s\n", times, last)
		default:
			fmt.Fprintln(out, last)
		}
	}
	err = c.Inputs(names, func(_ string, r io.Reader) error {
		return eachLine(r, out, func(line []byte) (bool, error) {
			if s := string(line); times == 0 || s != last && !(*fold && strings.EqualFold(s, last)) {
				emit()
				last, times = s, 0
			}
			times++
			return true, nil
		})
	})
	emit()
	return errors.Join(err, out.Flush())
}
