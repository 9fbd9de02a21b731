package text

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var (
	headCommand = &command.Command{
		Name: "head", Usage: "[-n lines | -c bytes] [file...]", Summary: "print the first lines of files", Run: head,
	}
	tailCommand = &command.Command{
		Name: "tail", Usage: "[-n [+]lines | -c bytes] [-f] [file...]", Summary: "print the last lines of files", Run: tail,
	}
)

// dashed turns the old "-5" into "-n 5".
func dashed(args []string) []string {
	if len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		if n, err := strconv.Atoi(args[0][1:]); err == nil && n >= 0 {
			return append([]string{"-n", args[0][1:]}, args[1:]...)
		}
	}
	return args
}

// title prints the header that tells files apart when there are several.
func title(c *command.Call, name string, names []string, first *bool) {
	if len(names) < 2 {
		return
	}
	if !*first {
		fmt.Fprintln(c.Out)
	}
	*first = false
	fmt.Fprintf(c.Out, "==> %s <==\n", name)
}

func head(_ context.Context, c *command.Call) error {
	c.Args = dashed(c.Args)
	o := c.Options()
	lines := o.Int("n,lines", "N", 10, 0, "how many lines")
	count := o.Int("c,bytes", "N", -1, 0, "how many bytes, instead of lines")
	names, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	first := true
	return c.Inputs(names, func(name string, r io.Reader) error {
		title(c, name, names, &first)
		if *count >= 0 {
			_, err := io.CopyN(c.Out, r, int64(*count))
			if err == io.EOF {
				err = nil
			}
			return err
		}
		return headLines(c.Out, r, *lines)
	})
}

func headLines(w io.Writer, r io.Reader, n int) error {
	if n == 0 {
		return nil
	}
	out := bufio.NewWriter(w)
	err := eachLine(r, out, func(line []byte) (bool, error) {
		out.Write(line) // a bufio.Writer keeps its error for Flush
		out.WriteByte('\n')
		n--
		return n > 0, nil
	})
	return errors.Join(err, out.Flush())
}

func tail(ctx context.Context, c *command.Call) error {
	c.Args = dashed(c.Args)
	o := c.Options()
	lines := o.String("n,lines", "N", "10", "how many lines; +N begins with line N")
	count := o.Int("c,bytes", "N", -1, 0, "how many bytes, instead of lines")
	follow := o.Flag("f,follow", "go on as the file grows, until Ctrl-C")
	names, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(strings.TrimLeft(*lines, "+-"))
	if err != nil || n < 0 {
		return command.Usagef("-n: %q is not a number of lines", *lines)
	}
	if *follow && len(names) != 1 {
		return command.Usagef("-f follows one file")
	}
	first := true
	return c.Inputs(names, func(name string, r io.Reader) error {
		title(c, name, names, &first)
		var err error
		switch {
		case *count >= 0:
			err = lastBytes(c.Out, r, *count)
		case strings.HasPrefix(*lines, "+"):
			err = fromLine(c.Out, r, n)
		default:
			err = lastLines(c.Out, r, n)
		}
		if f, ok := command.File(r); ok && err == nil && *follow {
			err = grow(ctx, c.Out, f)
		}
		return err
	})
}

// lastBytes skips to the end of a file that can seek, and else keeps the last
// bytes of what it reads.
func lastBytes(w io.Writer, r io.Reader, n int) error {
	if f, ok := command.File(r); ok {
		if end, err := f.Seek(0, io.SeekEnd); err == nil {
			if _, err := f.Seek(max(0, end-int64(n)), io.SeekStart); err != nil {
				return err
			}
			_, err := io.Copy(w, f)
			return err
		}
	}
	var kept []byte
	buf := make([]byte, 64<<10)
	for {
		got, err := r.Read(buf)
		kept = append(kept, buf[:got]...)
		if len(kept) > n {
			kept = append(kept[:0], kept[len(kept)-n:]...)
		}
		if err == io.EOF {
			_, err := w.Write(kept)
			return err
		}
		if err != nil {
			return err
		}
	}
}

func fromLine(w io.Writer, r io.Reader, n int) error {
	in := bufio.NewReader(r)
	for range n - 1 {
		if _, err := readLine(in); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
	_, err := io.Copy(w, in)
	return err
}

// lastLines keeps a ring of the last n lines.
func lastLines(w io.Writer, r io.Reader, n int) error {
	var ring [][]byte
	seen := 0
	err := eachLine(r, nil, func(line []byte) (bool, error) {
		switch {
		case n == 0:
		case len(ring) < n:
			ring = append(ring, bytes.Clone(line))
		default:
			ring[seen%n] = append(ring[seen%n][:0], line...)
		}
		seen++
		return true, nil
	})
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	for i := range ring {
		out.Write(ring[(seen+i)%len(ring)]) // a bufio.Writer keeps its error for Flush
		out.WriteByte('\n')
	}
	return out.Flush()
}

// grow prints what is added to a file until ctx is cancelled. It looks twice a
// second, as the standard library has no way to be told; a file that became
// shorter is read from its start.
func grow(ctx context.Context, w io.Writer, f *os.File) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := io.Copy(w, f); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		at, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if info.Size() < at {
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				return err
			}
		}
	}
}
