package files

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var (
	lnCommand = &command.Command{
		Name: "ln", Usage: "[-s] [-f] target... name", Summary: "give a file another name, or link to it by name with -s",
		Run: ln,
	}
	rmdirCommand = &command.Command{
		Name: "rmdir", Usage: "directory...", Summary: "remove empty directories",
		Run: rmdir,
	}
	readlinkCommand = &command.Command{
		Name: "readlink", Usage: "[-f] link...", Summary: "print what symbolic links point to",
		Run: readlink,
	}
	truncateCommand = &command.Command{
		Name: "truncate", Usage: "-s size file...", Summary: "make files as long as told",
		Run: truncate,
	}
)

func ln(_ context.Context, c *command.Call) error {
	o := c.Options()
	symbolic := o.Flag("s,symbolic", "make symbolic links")
	force := o.Flag("f,force", "replace what has the name already")
	names, err := o.Parse(1, -1)
	if err != nil {
		return err
	}
	targets, last := names[:len(names)-1], names[len(names)-1]
	if len(names) == 1 {
		targets, last = names, "."
	}
	info, err := os.Stat(c.Path(last))
	into := err == nil && info.IsDir()
	if len(targets) > 1 && !into {
		return command.Usagef("%s is not a directory", last)
	}
	for _, target := range targets {
		name := c.Path(last)
		if into {
			name = filepath.Join(name, filepath.Base(target))
		}
		if err := link(c, target, name, *symbolic, *force); err != nil {
			return err
		}
	}
	return nil
}

func link(c *command.Call, target, name string, symbolic, force bool) error {
	if force {
		if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
			return command.Named(name, err)
		}
	}
	if symbolic {
		return command.Named(name, os.Symlink(target, name))
	}
	return command.Named(name, os.Link(c.Path(target), name))
}

func rmdir(_ context.Context, c *command.Call) error {
	names, err := c.Options().Parse(1, -1)
	if err != nil {
		return err
	}
	for _, name := range names {
		info, err := os.Lstat(c.Path(name))
		if err == nil && !info.IsDir() {
			return fmt.Errorf("%s: not a directory (rm removes files)", name)
		}
		if err == nil {
			err = os.Remove(c.Path(name))
		}
		if err != nil {
			return command.Named(name, err)
		}
	}
	return nil
}

func readlink(_ context.Context, c *command.Call) error {
	o := c.Options()
	final := o.Flag("f", "follow every link to the final name")
	names, err := o.Parse(1, -1)
	if err != nil {
		return err
	}
	read := os.Readlink
	if *final {
		read = filepath.EvalSymlinks
	}
	for _, name := range names {
		target, err := read(c.Path(name))
		if err != nil {
			return command.Named(name, err)
		}
		fmt.Fprintln(c.Out, target)
	}
	return nil
}

func truncate(_ context.Context, c *command.Call) error {
	o := c.Options()
	text := o.String("s,size", "SIZE", "", "bytes, or with K, M, G, T behind the number")
	names, err := o.Parse(1, -1)
	if err != nil {
		return err
	}
	size, err := ParseSize(*text)
	if err != nil {
		return command.Usagef("-s: %v", err)
	}
	for _, name := range names {
		f, err := os.OpenFile(c.Path(name), os.O_WRONLY|os.O_CREATE, 0o666)
		if err != nil {
			return command.Named(name, err)
		}
		err = f.Truncate(size)
		if closing := f.Close(); err == nil {
			err = closing
		}
		if err != nil {
			return command.Named(name, err)
		}
	}
	return nil
}

// ParseSize reads a number of bytes: digits and, at will, K, M, G or T for
// powers of 1024.
func ParseSize(text string) (int64, error) {
	digits, shift := text, 0
	if n := len(text); n > 0 {
		if at := strings.IndexByte("KMGT", text[n-1]&^0x20); at >= 0 && text[n-1] >= 'A' {
			digits, shift = text[:n-1], 10*(at+1)
		}
	}
	size, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || size < 0 || size > (1<<62)>>shift {
		return 0, fmt.Errorf("%q is not a size, such as 4096, 64K or 10M", text)
	}
	return size << shift, nil
}
