package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/services/file"
	"github.com/tuplix/tuplix/services/user"
)

var restoreCommand = &command.Command{
	Name: "restore", Usage: "--to time path",
	Summary: "make a file, a directory or all files as they were; look first: /.at/TIME/PATH shows them",
	Run:     restore,
}

func restore(ctx context.Context, c *command.Call) error {
	o := c.Options()
	when := o.String("to", "TIME", "", "2026-01-31T15:04:05Z, seconds since 1970, or how long ago: -10m, -2h30m, -3d")
	names, err := o.Parse(1, 1)
	if err != nil {
		return err
	}
	if *when == "" {
		return command.Usagef("--to says which time to go back to")
	}
	to, err := file.ParseTime(*when, time.Now())
	if err != nil {
		return command.Usagef("--to: %v", err)
	}
	files, err := file.Here()
	if err != nil {
		return err
	}
	path := c.Path(names[0])
	done, err := files.Restore(ctx, user.From(ctx).Op("restore "+names[0]), path, to)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s: there was no such file at %s", names[0], to.UTC().Format(time.RFC3339))
	case errors.Is(err, syscall.ESTALE):
		return fmt.Errorf("%s: %s is longer ago than is kept", names[0], to.UTC().Format(time.RFC3339))
	case err != nil:
		return command.Named(names[0], err)
	case path == "/":
		fmt.Fprintf(c.Out, "all files are as they were at %s\n", to.UTC().Format(time.RFC3339))
	default:
		fmt.Fprintf(c.Out, "%d files and %d names are as they were at %s\n", done.Inodes, done.Entries, to.UTC().Format(time.RFC3339))
	}
	return nil
}
