package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"strings"

	"github.com/u-root/u-root/pkg/core"
)

// Core makes a command of this frame out of one of u-root's. Help is printed
// by that command itself.
func Core(name, usage, summary string, fresh func() core.Command) *Command {
	run := func(ctx context.Context, c *Call) error {
		inner := fresh()
		inner.SetIO(c.In, c.Out, c.Err)
		inner.SetWorkingDir(c.Dir)
		inner.SetLookupEnv(c.LookupEnv)
		args := c.Args
		if len(args) == 1 && (args[0] == "-h" || args[0] == "--help") {
			fmt.Fprintf(c.Out, "%s: %s\n", name, summary)
			inner.SetIO(c.In, c.Out, c.Out) // help that was asked for is output
			args = []string{"-h"}
		}
		err := inner.RunContext(ctx, args...)
		if errors.Is(err, flag.ErrHelp) {
			return ErrHelp
		}
		return relative(c.Dir, err)
	}
	return &Command{Name: name, Usage: usage, Summary: summary, Run: run}
}

// relative shows a file in an error by the name that the user knows it by.
func relative(dir string, err error) error {
	var path *fs.PathError
	if !errors.As(err, &path) {
		return err
	}
	return Named(strings.TrimPrefix(path.Path, strings.TrimSuffix(dir, "/")+"/"), path)
}
