package services

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/services/file"
	"github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/user"
)

// restore goes back to a moment. Of files alone it does not need the other services.
func restore(open Open) *command.Command {
	return &command.Command{
		Name: "restore", Usage: "--to time [--dry-run] path | --table name | --all",
		Summary: "make files, a table or the whole system as they were; look first: /.at/TIME/PATH, rows --at, --dry-run",
		Run: func(ctx context.Context, c *command.Call) error {
			o := c.Options()
			when := o.String("to", "TIME", "", pastHelp)
			name := o.String("t,table", "NAME", "", "a table, as it was")
			all := o.Flag("a,all", "files, users, settings and the tables of programs; tasks, messages and logs stay")
			dry := o.Flag("n,dry-run", "change nothing, and tell what would be undone")
			paths, err := o.Parse(0, 1)
			if err != nil {
				return err
			}
			if *when == "" {
				return command.Usagef("--to says which time to go back to")
			}
			to, err := pastTime("--to", *when)
			if err != nil {
				return err
			}
			switch {
			case len(paths) == 1 && *name == "" && !*all:
				return restorePath(ctx, c, paths[0], to, *dry)
			case len(paths) == 0 && (*name != "") != *all:
				return restoreTables(ctx, c, open, *name, to, *dry)
			}
			return command.Usagef("name one of a path (/ is all files), --table and --all")
		},
	}
}

func restorePath(ctx context.Context, c *command.Call, name string, to time.Time, dry bool) error {
	then := to.UTC().Format(time.RFC3339)
	path := c.Path(name)
	if c.MayOpen != nil {
		if err := c.MayOpen(path, os.O_WRONLY); err != nil {
			return err
		}
	}
	files, err := file.Here()
	if err != nil {
		return err
	}
	var done file.Restored
	var plan file.Plan
	if dry {
		plan, err = files.Plan(ctx, path, to)
	} else {
		end := showProgress(c, name, files.Progress)
		done, err = files.Restore(ctx, user.From(ctx).Op("restore "+name), path, to)
		end()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there was no such file at %s", name, then)
	case errors.Is(err, syscall.ESTALE):
		return fmt.Errorf("%s: %s is longer ago than is kept", name, then)
	case err != nil:
		return command.Named(name, err)
	case dry:
		return printFilePlan(c, &plan, name, then)
	case path == "/":
		_, err = fmt.Fprintf(c.Out, "all files are as they were at %s\n", then)
	default:
		_, err = fmt.Fprintf(c.Out, "%d files and %d names are as they were at %s\n", done.Inodes, done.Entries, then)
	}
	return err
}

// showProgress shows on a terminal how far something is, until end is called.
func showProgress(c *command.Call, name string, progress func() (done, of int)) (end func()) {
	if _, ok := c.Terminal(); !ok {
		return func() {}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		for shown := false; ; {
			select {
			case <-ticker.C:
				if done, of := progress(); of > 0 {
					shown = true
					fmt.Fprintf(c.Out, "\r%s: %d%% of %d files and names\x1b[K", name, done*100/of, of)
				}
			case <-stop:
				if shown {
					fmt.Fprint(c.Out, "\r\x1b[K")
				}
				return
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

const progressInterval = 100 * time.Millisecond

// restoreTables restores a table, or with no name everything.
func restoreTables(ctx context.Context, c *command.Call, open Open, name string, to time.Time, dry bool) error {
	s, err := open.open(ctx)
	if err != nil {
		return err
	}
	if err := syncFiles(s); err != nil {
		return err
	}
	var r *system.Restored
	if name != "" {
		r, err = s.RestoreTable(ctx, name, to, dry)
	} else {
		r, err = s.Restore(ctx, to, dry)
	}
	then := to.UTC().Format(time.RFC3339)
	switch {
	case errors.Is(err, engine.ErrTooOld) || errors.Is(err, syscall.ESTALE):
		return fmt.Errorf("%s is longer ago than is kept", then)
	case err != nil:
		return err
	case dry:
		return printPlans(c, r.Plans, then)
	case name != "":
		_, err = fmt.Fprintf(c.Out, "table %s is as it was at %s\n", name, then)
		return err
	}
	_, err = fmt.Fprintf(c.Out, "all files and %d tables are as they were at %s\n", len(r.Tables), then)
	if err == nil && len(r.Skipped) > 0 {
		_, err = fmt.Fprintf(c.Out, "as they are: %s\n", strings.Join(r.Skipped, " "))
	}
	return err
}

// syncFiles stores what files wait with, so that a plan sees it.
func syncFiles(s *system.System) error {
	if s.File == nil {
		return nil
	}
	return s.File.Sync()
}

func printPlans(c *command.Call, plans []*store.Plan, then string) error {
	transactions := 0
	changed := c.List(false, "table", "rows", "written", "deleted")
	for _, p := range plans {
		transactions += p.Transactions
		for _, t := range p.Tables {
			if err := changed.Row(t.Table, t.Rows, t.Written, t.Deleted); err != nil {
				return err
			}
		}
	}
	if transactions == 0 {
		_, err := fmt.Fprintf(c.Out, "nothing was changed since %s\n", then)
		return err
	}
	fmt.Fprintf(c.Out, "A restore to %s would undo:\n", then)
	if err := changed.End(); err != nil {
		return err
	}
	var by []store.Author
	for _, p := range plans {
		by = append(by, p.By...)
	}
	return printAuthors(c, by)
}

// printFilePlan tells what a restore of files would undo.
func printFilePlan(c *command.Call, p *file.Plan, name, then string) error {
	path := c.Path(name)
	if p.Transactions == 0 && p.Restored == (file.Restored{}) {
		_, err := fmt.Fprintf(c.Out, "nothing was changed since %s\n", then)
		return err
	}
	if path == "/" {
		fmt.Fprintf(c.Out, "A restore of all files to %s would undo %d transactions", then, p.Transactions)
	} else {
		fmt.Fprintf(c.Out, "A restore of %s to %s would change %d files and %d names, and remove %d of the files;\nit would undo what %d transactions did there",
			name, then, p.Inodes, p.Entries, p.Removed, p.Transactions)
	}
	if p.Transactions == 0 {
		_, err := fmt.Fprintln(c.Out)
		return err
	}
	fmt.Fprintf(c.Out, ", from %s to %s\n", p.First.UTC().Format(time.RFC3339), p.Last.UTC().Format(time.RFC3339))
	if path != "/" {
		fmt.Fprintf(c.Out, "(diff -r /.at/%s%s %s shows what differs)\n", then, path, name)
	}
	return printAuthors(c, p.By)
}

func printAuthors(c *command.Call, authors []store.Author) error {
	by := c.List(false, "user", "program", "did", "transactions", "rows")
	for _, a := range authors {
		if err := by.Row(a.User, a.Program, a.Name, a.Transactions, a.Rows); err != nil {
			return err
		}
	}
	fmt.Fprintln(c.Out, "by:")
	return by.End()
}
