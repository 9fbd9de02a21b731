package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var cpCommand = &command.Command{
	Name: "cp", Usage: "[-afinprvP] from... to", Summary: "copy files and directories",
	Run: cp,
}

// copyPiece is how much of a file is copied before a Ctrl-C is looked for.
const copyPiece = 4 << 20

// copier is one run of cp.
type copier struct {
	*command.Call
	ctx       context.Context
	recursive bool
	links     bool // symbolic links are copied, not followed
	preserve  bool // permissions and times, whatever the umask is
	verbose   bool
	replaced  replacement
}

func cp(ctx context.Context, c *command.Call) error {
	o := c.Options()
	all := o.Flag("a,archive", "the same as -rpP")
	recursive := o.Flag("r,recursive", "copy directories, with links in them as links")
	also := o.Flag("R", "the same as -r")
	links := o.Flag("P,no-dereference", "copy links as links")
	preserve := o.Flag("p", "keep permissions and times")
	verbose := o.Flag("v,verbose", "say what is copied")
	replaced := replacementOptions(o, c)
	names, err := o.Parse(2, -1)
	if err != nil {
		return err
	}
	k := &copier{
		Call: c, ctx: ctx, recursive: *all || *recursive || *also, links: *all || *links,
		preserve: *all || *preserve, verbose: *verbose, replaced: replaced(),
	}
	return eachTo(ctx, c, names, k.copy)
}

// eachTo calls do for each name but the last, and where it is to go: the last, or
// below that if it is a directory. An error about one does not stop the others.
func eachTo(ctx context.Context, c *command.Call, names []string, do func(from, to string) error) error {
	sources, last := names[:len(names)-1], names[len(names)-1]
	info, err := os.Stat(c.Path(last))
	into := err == nil && info.IsDir()
	if !into && (len(sources) > 1 || strings.HasSuffix(last, "/") && err == nil) {
		return fmt.Errorf("%s: not a directory", last)
	}
	return c.EachName(ctx, sources, func(from string) error {
		if into {
			return do(from, filepath.Join(last, filepath.Base(c.Path(from))))
		}
		return do(from, last)
	})
}

// copy copies what the user named.
func (k *copier) copy(from, to string) error {
	look := os.Stat
	if k.links || k.recursive {
		look = os.Lstat
	}
	info, err := look(k.Path(from))
	if err != nil {
		return command.Named(from, err)
	}
	if info.IsDir() {
		if !k.recursive {
			return fmt.Errorf("%s: is a directory (cp -r copies it)", from)
		}
		if inside, err := within(k.Path(from), k.Path(to)); err != nil {
			return command.Named(to, err)
		} else if inside {
			return fmt.Errorf("%s: cannot be copied into itself, %s", from, to)
		}
	}
	return k.any(from, to, info)
}

// within tells whether path is, or will be, dir or something below it.
func within(dir, path string) (bool, error) {
	inner, err := os.Stat(dir)
	if err != nil {
		return false, err
	}
	for ; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err == nil && os.SameFile(info, inner) {
			return true, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return false, err
		}
		if path == filepath.Dir(path) {
			return false, nil
		}
	}
}

// any copies one file, link or tree. info is that of from.
func (k *copier) any(from, to string, info fs.FileInfo) error {
	if err := k.ctx.Err(); err != nil {
		return err
	}
	if info.IsDir() {
		return k.directory(from, to, info)
	}
	if there, err := os.Stat(k.Path(to)); err == nil && os.SameFile(info, there) {
		return fmt.Errorf("%s and %s are the same file", from, to)
	}
	if ok, err := k.replaced.allows(to); err != nil || !ok {
		return err
	}
	var err error
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		err = k.link(from, to)
	case info.Mode().IsRegular():
		err = k.file(from, to, info)
	default:
		return fmt.Errorf("%s: neither a file nor a directory", from)
	}
	if err == nil && k.verbose {
		_, err = fmt.Fprintf(k.Out, "%s -> %s\n", from, to)
	}
	return err
}

// directory copies a tree. The directory can be written to until all is in it.
func (k *copier) directory(from, to string, info fs.FileInfo) error {
	entries, err := os.ReadDir(k.Path(from))
	if err != nil {
		return command.Named(from, err)
	}
	mode := info.Mode().Perm()
	err = os.Mkdir(k.Path(to), mode|0o700)
	made := err == nil
	if there, statErr := os.Stat(k.Path(to)); errors.Is(err, fs.ErrExist) && statErr == nil && there.IsDir() {
		err = nil
	}
	if err != nil {
		return command.Named(to, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return command.Named(filepath.Join(from, e.Name()), err)
		}
		if err := k.any(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()), info); err != nil {
			return err
		}
	}
	if made && mode&0o700 != 0o700 {
		err = os.Chmod(k.Path(to), mode)
	}
	return errors.Join(err, k.keep(to, info))
}

func (k *copier) link(from, to string) error {
	target, err := os.Readlink(k.Path(from))
	if err != nil {
		return command.Named(from, err)
	}
	if err := os.Remove(k.Path(to)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return command.Named(to, err)
	}
	return command.Named(to, os.Symlink(target, k.Path(to)))
}

func (k *copier) file(from, to string, info fs.FileInfo) error {
	in, err := os.Open(k.Path(from))
	if err != nil {
		return command.Named(from, err)
	}
	defer in.Close() // opened for reading
	out, err := os.OpenFile(k.Path(to), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return command.Named(to, err)
	}
	err = copyPieces(k.ctx, out, in)
	if closing := out.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return command.Named(to, err)
	}
	return k.keep(to, info)
}

// copyPieces copies file to file, which the system may do by itself, in pieces.
func copyPieces(ctx context.Context, out, in *os.File) error {
	for {
		n, err := io.CopyN(out, in, copyPiece)
		if err == nil {
			err = ctx.Err()
		}
		if err == io.EOF && n < copyPiece {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// keep gives a copy the permissions and times of the original, if asked to.
func (k *copier) keep(to string, info fs.FileInfo) error {
	if !k.preserve {
		return nil
	}
	err := os.Chmod(k.Path(to), info.Mode())
	return command.Named(to, errors.Join(err, os.Chtimes(k.Path(to), info.ModTime(), info.ModTime())))
}
