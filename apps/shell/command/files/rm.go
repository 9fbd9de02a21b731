package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var rmCommand = &command.Command{
	Name: "rm", Usage: "[-firv] file...", Summary: "remove files and, with -r, directories",
	Run: rm,
}

// remover is one run of rm.
type remover struct {
	*command.Call
	ctx                            context.Context
	recursive, force, ask, verbose bool
}

func rm(ctx context.Context, c *command.Call) error {
	o := c.Options()
	force := o.Flag("f,force", "ask nothing, and do not mind what is not there")
	ask := o.Flag("i,interactive", "ask before something is removed")
	recursive := o.Flag("r,recursive", "remove directories and all that is in them")
	also := o.Flag("R", "the same as -r")
	verbose := o.Flag("v,verbose", "say what is removed")
	names, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	if len(names) == 0 && !*force {
		return command.Usagef("an argument is missing")
	}
	r := &remover{Call: c, ctx: ctx, recursive: *recursive || *also, force: *force, ask: *ask && !*force, verbose: *verbose}
	return c.EachName(ctx, names, r.remove)
}

// remove removes what the user named, but not the ground the user stands on.
func (r *remover) remove(name string) error {
	path := filepath.Clean(r.Path(name))
	if base := filepath.Base(name); path == "/" || base == "." || base == ".." {
		return fmt.Errorf("%s: is not removed; name what is in it", name)
	}
	info, err := os.Lstat(path)
	if r.force && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return command.Named(name, err)
	}
	if info.IsDir() && !r.recursive {
		return fmt.Errorf("%s: is a directory (rm -r removes it)", name)
	}
	return r.tree(name, info.IsDir())
}

// tree removes a file, or a directory after what is in it.
func (r *remover) tree(name string, directory bool) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if r.ask {
		if ok, err := r.Confirm("remove " + name); err != nil || !ok {
			return err
		}
	}
	if directory {
		entries, err := os.ReadDir(r.Path(name))
		if err != nil {
			return command.Named(name, err)
		}
		for _, e := range entries {
			if err := r.tree(filepath.Join(name, e.Name()), e.IsDir()); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(r.Path(name)); err != nil {
		return command.Named(name, err)
	}
	if r.verbose {
		_, err := fmt.Fprintf(r.Out, "removed %s\n", name)
		return err
	}
	return nil
}
