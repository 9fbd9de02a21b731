package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var mvCommand = &command.Command{
	Name: "mv", Usage: "[-finuv] from... to", Summary: "rename or move files and directories",
	Run: mv,
}

func mv(ctx context.Context, c *command.Call) error {
	o := c.Options()
	update := o.Flag("u,update", "do not replace what is as new or newer")
	verbose := o.Flag("v,verbose", "say what is moved")
	replaced := replacementOptions(o, c)
	names, err := o.Parse(2, -1)
	if err != nil {
		return err
	}
	may := replaced()
	return eachTo(ctx, c, names, func(from, to string) error {
		info, err := os.Lstat(c.Path(from))
		if err != nil {
			return command.Named(from, err)
		}
		if *update && !newer(info, c.Path(to)) {
			return nil
		}
		if ok, err := may.allows(to); err != nil || !ok {
			return err
		}
		if err := move(ctx, c, from, to); err != nil {
			return err
		}
		if *verbose {
			_, err = fmt.Fprintf(c.Out, "%s -> %s\n", from, to)
		}
		return err
	})
}

// newer tells whether a file is newer than what is at path, if anything is.
func newer(info fs.FileInfo, path string) bool {
	there, err := os.Lstat(path)
	return err != nil || info.ModTime().After(there.ModTime())
}

// move renames; to another file system it copies and removes.
func move(ctx context.Context, c *command.Call, from, to string) error {
	err := os.Rename(c.Path(from), c.Path(to))
	if !errors.Is(err, syscall.EXDEV) {
		return command.Named(from, err)
	}
	k := &copier{Call: c, ctx: ctx, recursive: true, links: true, preserve: true, replaced: replacement{call: c}}
	if err := k.copy(from, to); err != nil {
		return err
	}
	r := &remover{Call: c, ctx: ctx, recursive: true}
	return r.remove(from)
}

// replacement decides whether what has a name already is replaced.
type replacement struct {
	call       *command.Call
	never, ask bool
}

// replacementOptions describes -f, -i and -n; the function gives what they are
// once they have been read.
func replacementOptions(o *command.Options, c *command.Call) func() replacement {
	force := o.Flag("f,force", "ask nothing")
	ask := o.Flag("i,interactive", "ask before something is replaced")
	never := o.Flag("n,no-clobber", "replace nothing")
	return func() replacement { return replacement{c, *never, *ask && !*force} }
}

// allows tells whether name may be made or replaced.
func (r replacement) allows(name string) (bool, error) {
	if !r.never && !r.ask {
		return true, nil
	}
	if _, err := os.Lstat(r.call.Path(name)); err != nil {
		return true, nil // the attempt will tell if it is not absence
	}
	if r.never {
		return false, nil
	}
	return r.call.Confirm("replace " + name)
}
