package files

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var (
	gzipCommand = &command.Command{
		Name: "gzip", Usage: "[-cdfk] [-l level] [file...]", Summary: "compress files, or expand them with -d",
		Run: func(ctx context.Context, c *command.Call) error { return gz(c, false, false) },
	}
	gunzipCommand = &command.Command{
		Name: "gunzip", Usage: "[-cfk] [file...]", Summary: "expand files that gzip made",
		Run: func(ctx context.Context, c *command.Call) error { return gz(c, true, false) },
	}
	zcatCommand = &command.Command{
		Name: "zcat", Usage: "[file...]", Summary: "print files that gzip made",
		Run: func(ctx context.Context, c *command.Call) error { return gz(c, true, true) },
	}
)

func gz(c *command.Call, expand, print bool) error {
	o := c.Options()
	decompress := o.Flag("d,decompress", "expand")
	stdout := o.Flag("c,stdout", "write to the standard output and keep the files")
	keep := o.Flag("k,keep", "keep the files")
	force := o.Flag("f,force", "replace files that exist")
	level := o.Int("l,level", "LEVEL", gzip.DefaultCompression, gzip.HuffmanOnly, "1 is fast, 9 is small")
	names, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	if *level > gzip.BestCompression {
		return command.Usagef("the level is at most %d", gzip.BestCompression)
	}
	turn := func(w io.Writer, r io.Reader) error { return compress(w, r, *level) }
	if expand = expand || *decompress; expand {
		turn = decompressTo
	}
	if len(names) == 0 || *stdout || print {
		return c.Inputs(names, func(_ string, r io.Reader) error { return turn(c.Out, r) })
	}
	for _, name := range names {
		if err := replace(c, name, expand, *force, *keep, turn); err != nil {
			return command.Named(name, err)
		}
	}
	return nil
}

func compress(w io.Writer, r io.Reader, level int) error {
	z, err := gzip.NewWriterLevel(w, level)
	if err != nil {
		return err
	}
	if _, err := io.Copy(z, r); err != nil {
		return err
	}
	return z.Close()
}

func decompressTo(w io.Writer, r io.Reader) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, z)
	return err
}

// replace turns the named file into its counterpart with or without ".gz". The
// original is removed only when the counterpart is whole.
func replace(c *command.Call, name string, expand, force, keep bool, turn func(io.Writer, io.Reader) error) error {
	from := c.Path(name)
	to, had := strings.CutSuffix(from, ".gz")
	switch {
	case expand && !had:
		return errors.New("the name does not end in .gz; use -c to expand it to the standard output")
	case !expand && had:
		return errors.New("the name ends in .gz already")
	case !expand:
		to = from + ".gz"
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() // opened for reading
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if !force {
		flags |= os.O_EXCL
	}
	out, err := os.OpenFile(to, flags, info.Mode().Perm())
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists already; -f replaces it", filepath.Base(to))
	}
	if err != nil {
		return err
	}
	err = turn(out, c.Tied(in))
	if closing := out.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return errors.Join(err, os.Remove(to))
	}
	if keep {
		return nil
	}
	return os.Remove(from)
}
