package files

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var tarCommand = &command.Command{
	Name: "tar", Usage: "-c|-x|-t [-vz] [-f archive] [-C directory] [file...]",
	Summary: "pack files into an archive, unpack or list it",
	Run:     tarMain,
}

// archiver is one run of tar.
type archiver struct {
	*command.Call
	verbose, zipped bool
	file, dir       string
}

func tarMain(ctx context.Context, c *command.Call) error {
	if len(c.Args) > 0 && c.Args[0] != "" && c.Args[0][0] != '-' {
		c.Args[0] = "-" + c.Args[0] // "tar cf" is older than options
	}
	o := c.Options()
	pack := o.Flag("c,create", "pack")
	unpack := o.Flag("x,extract", "unpack")
	list := o.Flag("t,list", "list")
	verbose := o.Flag("v,verbose", "print each name")
	zipped := o.Flag("z,gzip", "the archive is compressed")
	file := o.String("f,file", "ARCHIVE", "-", "the archive; - is the standard input or output")
	dir := o.String("C,directory", "DIRECTORY", ".", "where names start")
	names, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	a := &archiver{c, *verbose, *zipped, *file, c.Path(*dir)}
	switch {
	case *pack && !*unpack && !*list:
		if len(names) == 0 {
			return command.Usagef("say what to pack")
		}
		return a.pack(ctx, names)
	case *unpack && !*pack && !*list:
		return a.read(ctx, names, a.unpack)
	case *list && !*pack && !*unpack:
		return a.read(ctx, names, nil)
	}
	return command.Usagef("say one of -c, -x and -t")
}

func (a *archiver) pack(ctx context.Context, names []string) (err error) {
	var w = a.Out
	if a.file != "-" {
		f, err := os.Create(a.Path(a.file))
		if err != nil {
			return command.Named(a.file, err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		w = f
	}
	if a.zipped || strings.HasSuffix(a.file, "gz") {
		z := gzip.NewWriter(w)
		defer func() { err = errors.Join(err, z.Close()) }()
		w = z
	}
	t := tar.NewWriter(w)
	for _, name := range names {
		if err := a.add(ctx, t, name); err != nil {
			return command.Named(name, err)
		}
	}
	return t.Close()
}

// add packs one tree. Names in the archive are relative, as unpacking refuses
// others.
func (a *archiver) add(ctx context.Context, t *tar.Writer, name string) error {
	top := name
	if !filepath.IsAbs(top) {
		top = filepath.Join(a.dir, name)
	}
	return filepath.WalkDir(top, func(at string, d fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		inside := strings.TrimLeft(path.Join(name, strings.TrimPrefix(at, top)), "/")
		return a.member(t, inside, at, info)
	})
}

func (a *archiver) member(t *tar.Writer, name, at string, info fs.FileInfo) error {
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		var err error
		if target, err = os.Readlink(at); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	header.Name = name
	if info.IsDir() {
		header.Name += "/"
	}
	if a.verbose {
		fmt.Fprintln(a.Err, header.Name)
	}
	if err := t.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(at)
	if err != nil {
		return err
	}
	defer f.Close() // opened for reading
	_, err = io.Copy(t, f)
	return err
}

// read walks an archive and calls each for the members that are named, or all
// where none is; without each it prints their names.
func (a *archiver) read(ctx context.Context, names []string, each func(*os.Root, *tar.Header, io.Reader) error) error {
	r := a.In
	if a.file != "-" {
		f, err := os.Open(a.Path(a.file))
		if err != nil {
			return command.Named(a.file, err)
		}
		defer f.Close() // opened for reading
		r = f
	}
	if a.zipped || strings.HasSuffix(a.file, "gz") {
		z, err := gzip.NewReader(r)
		if err != nil {
			return err
		}
		r = z
	}
	root, err := os.OpenRoot(a.dir)
	if err != nil {
		return err
	}
	defer root.Close() // a directory opened for reading
	for t := tar.NewReader(r); ; {
		header, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if !wanted(header.Name, names) {
			continue
		}
		if each == nil || a.verbose {
			fmt.Fprintln(a.Out, header.Name)
		}
		if each == nil {
			continue
		}
		if err := each(root, header, t); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
}

func wanted(member string, names []string) bool {
	for _, name := range names {
		if member = path.Clean(member); member == path.Clean(name) || strings.HasPrefix(member, path.Clean(name)+"/") {
			return true
		}
	}
	return len(names) == 0
}

// unpack makes one member under root, which keeps it there.
func (a *archiver) unpack(root *os.Root, h *tar.Header, r io.Reader) error {
	name := path.Clean(h.Name)
	if dir := path.Dir(name); dir != "." {
		if err := root.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	mode := h.FileInfo().Mode().Perm()
	switch h.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, mode|0o700)
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return root.Link(path.Clean(h.Linkname), name)
	case tar.TypeReg:
		return unpackFile(root, name, mode, h, r)
	}
	a.Warn(fmt.Errorf("%s: left out, as members of type %q are not supported", h.Name, h.Typeflag))
	return nil
}

func unpackFile(root *os.Root, name string, mode fs.FileMode, h *tar.Header, r io.Reader) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return root.Chtimes(name, h.ModTime, h.ModTime)
}
