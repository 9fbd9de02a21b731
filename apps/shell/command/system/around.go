package system

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var (
	envCommand = &command.Command{
		Name: "env", Usage: "", Summary: "print the environment (NAME=value command sets it for one command)", Run: env, Checks: true,
	}
	xargsCommand = &command.Command{
		Name: "xargs", Usage: "[-0rt] [-n count] [-I word] [command [argument...]]",
		Summary: "run a command with arguments read from the input", Run: xargs, Checks: true,
	}
	timeoutCommand = &command.Command{
		Name: "timeout", Usage: "time command [argument...]", Summary: "run a command, but no longer than told", Run: timeout, Checks: true,
	}
	clearCommand = &command.Command{
		Name: "clear", Usage: "", Summary: "clear the terminal", Run: clearScreen, Checks: true,
	}
)

func env(_ context.Context, c *command.Call) error {
	if _, err := c.Options().Parse(0, 0); err != nil {
		return err
	}
	vars := slices.Clone(c.Environ)
	slices.Sort(vars)
	for _, v := range vars {
		if _, err := fmt.Fprintln(c.Out, v); err != nil {
			return err
		}
	}
	return nil
}

// collector is one run of xargs.
type collector struct {
	*command.Call
	argv   []string
	place  string // the word that a line takes the place of, or ""
	most   int    // arguments to a command
	trace  bool
	failed bool
}

func xargs(ctx context.Context, c *command.Call) error {
	o := c.Options()
	o.InOrder = true
	null := o.Flag("0,null", "arguments end with a zero byte, not at blanks")
	o.Flag("r,no-run-if-empty", "accepted: without arguments nothing is run anyway")
	trace := o.Flag("t,verbose", "print each command before it runs")
	most := o.Int("n,max-args", "N", 4096, 1, "at most so many arguments at a time")
	place := o.String("I,replace", "WORD", "", "put each input line where the word stands")
	argv, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	if len(argv) == 0 {
		argv = []string{"echo"}
	}
	scan := bufio.NewScanner(c.In)
	scan.Buffer(nil, 1<<20)
	switch {
	case *null:
		scan.Split(untilNull)
	case *place == "":
		scan.Split(bufio.ScanWords)
	}
	x := &collector{Call: c, argv: argv, place: *place, most: *most, trace: *trace}
	if err := x.collect(ctx, scan); err != nil {
		return err
	}
	if x.failed {
		return command.Exit(123) // as xargs has it everywhere
	}
	return nil
}

// collect runs the command for every line, or for as many words at a time as
// it may take.
func (x *collector) collect(ctx context.Context, scan *bufio.Scanner) error {
	var batch []string
	for scan.Scan() {
		if x.place != "" {
			if err := x.run(ctx, x.replaced(scan.Text())); err != nil {
				return err
			}
			continue
		}
		if batch = append(batch, scan.Text()); len(batch) == x.most {
			if err := x.run(ctx, slices.Concat(x.argv, batch)); err != nil {
				return err
			}
			batch = nil
		}
	}
	if err := scan.Err(); err != nil || len(batch) == 0 {
		return err
	}
	return x.run(ctx, slices.Concat(x.argv, batch))
}

func (x *collector) replaced(text string) []string {
	args := slices.Clone(x.argv)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], x.place, text)
	}
	return args
}

// run runs one command, which has no input: that is for xargs.
func (x *collector) run(ctx context.Context, args []string) error {
	if x.trace {
		fmt.Fprintln(x.Err, strings.Join(args, " "))
	}
	err := x.Exec(ctx, args, bytes.NewReader(nil))
	if errors.As(err, new(command.Exit)) {
		x.failed = true
		return nil
	}
	return err
}

// untilNull is a bufio.SplitFunc for words that end with a zero byte.
func untilNull(data []byte, end bool) (int, []byte, error) {
	if at := bytes.IndexByte(data, 0); at >= 0 {
		return at + 1, data[:at], nil
	}
	if end && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

func timeout(ctx context.Context, c *command.Call) error {
	o := c.Options()
	o.InOrder = true
	args, err := o.Parse(2, -1)
	if err != nil {
		return err
	}
	limit, err := parseDuration(args[0])
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = c.Exec(limited, args[1:], nil)
	if limited.Err() != nil && ctx.Err() == nil {
		return command.Exit(124) // as timeout has it everywhere
	}
	return err
}

func clearScreen(_ context.Context, c *command.Call) error {
	if _, err := c.Options().Parse(0, 0); err != nil {
		return err
	}
	_, err := io.WriteString(c.Out, "\x1b[H\x1b[2J\x1b[3J")
	return err
}
