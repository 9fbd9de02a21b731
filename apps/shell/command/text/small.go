package text

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var (
	teeCommand = &command.Command{
		Name: "tee", Usage: "[-a] [file...]", Summary: "copy the input to the output and to files", Run: tee,
	}
	seqCommand = &command.Command{
		Name: "seq", Usage: "[-s separator] [first [step]] last", Summary: "print a row of numbers", Run: seq,
	}
	yesCommand = &command.Command{
		Name: "yes", Usage: "[word...]", Summary: "print y, or the words, for ever", Run: yes,
	}
	revCommand = &command.Command{
		Name: "rev", Usage: "[file...]", Summary: "print each line backwards", Run: rev,
	}
	basenameCommand = &command.Command{
		Name: "basename", Usage: "name [suffix]", Summary: "print the last part of a name", Run: basename,
	}
	dirnameCommand = &command.Command{
		Name: "dirname", Usage: "name...", Summary: "print names without their last part", Run: dirname,
	}
)

func tee(_ context.Context, c *command.Call) error {
	o := c.Options()
	appending := o.Flag("a,append", "add to the files")
	names, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if *appending {
		flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	outs := []io.Writer{c.Out}
	var files []*os.File
	for _, name := range names {
		f, openErr := os.OpenFile(c.Path(name), flags, 0o666)
		if openErr != nil {
			err = command.Named(name, openErr)
			break
		}
		files, outs = append(files, f), append(outs, f)
	}
	if err == nil {
		_, err = io.Copy(io.MultiWriter(outs...), c.In)
	}
	for _, f := range files {
		err = errors.Join(err, f.Close())
	}
	return err
}

func seq(_ context.Context, c *command.Call) error {
	separator, args := "\n", c.Args
	if len(args) > 1 && args[0] == "-s" {
		separator, args = args[1], args[2:]
	}
	if len(args) > 0 && strings.HasPrefix(args[0], "-") && strings.Trim(args[0], "-0123456789.") != "" {
		_, err := c.Options().Parse(1, 3) // -h, or an option that there is not
		return err
	}
	if len(args) < 1 || len(args) > 3 {
		return command.Usagef("seq takes one to three numbers")
	}
	first, step := 1.0, 1.0
	decimals := 0
	var values []float64
	for _, a := range args {
		n, err := strconv.ParseFloat(a, 64)
		if err != nil {
			return command.Usagef("%q is not a number", a)
		}
		if _, fraction, ok := strings.Cut(a, "."); ok {
			decimals = max(decimals, len(fraction))
		}
		values = append(values, n)
	}
	last := values[len(values)-1]
	if len(values) > 1 {
		first = values[0]
	}
	if len(values) > 2 {
		step = values[1]
	}
	if step == 0 {
		return command.Usagef("a step of 0 never ends")
	}
	out := bufio.NewWriter(c.Out)
	for i := 0; ; i++ {
		n := first + float64(i)*step
		if step > 0 && n > last+step*1e-9 || step < 0 && n < last+step*1e-9 {
			if i > 0 {
				out.WriteByte('\n') // a bufio.Writer keeps its error for Flush
			}
			return out.Flush()
		}
		if i > 0 {
			out.WriteString(separator)
		}
		if _, err := out.WriteString(strconv.FormatFloat(n, 'f', decimals, 64)); err != nil {
			return err
		}
	}
}

func yes(_ context.Context, c *command.Call) error {
	words, err := c.Options().Parse(0, -1)
	if err != nil {
		return err
	}
	if len(words) == 0 {
		words = []string{"y"}
	}
	line := strings.Join(words, " ") + "\n"
	block := []byte(strings.Repeat(line, 1+4096/len(line)))
	for {
		if _, err := c.Out.Write(block); err != nil {
			return err
		}
	}
}

func rev(_ context.Context, c *command.Call) error {
	names, err := c.Options().Parse(0, -1)
	if err != nil {
		return err
	}
	return c.Inputs(names, func(_ string, r io.Reader) error {
		return eachLine(r, nil, func(line []byte) (bool, error) {
			runes := []rune(string(line))
			slices.Reverse(runes)
			_, err := fmt.Fprintln(c.Out, string(runes))
			return true, err
		})
	})
}

func basename(_ context.Context, c *command.Call) error {
	args, err := c.Options().Parse(1, 2)
	if err != nil {
		return err
	}
	name := path.Base(args[0])
	if len(args) == 2 && name != args[1] {
		name = strings.TrimSuffix(name, args[1])
	}
	_, err = fmt.Fprintln(c.Out, name)
	return err
}

func dirname(_ context.Context, c *command.Call) error {
	args, err := c.Options().Parse(1, -1)
	if err != nil {
		return err
	}
	for _, name := range args {
		if trimmed := strings.TrimRight(name, "/"); trimmed != "" {
			name = trimmed
		}
		if _, err := fmt.Fprintln(c.Out, path.Dir(name)); err != nil {
			return err
		}
	}
	return nil
}
