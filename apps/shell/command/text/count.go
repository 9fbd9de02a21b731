package text

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var (
	wcCommand = &command.Command{
		Name: "wc", Usage: "[-clmw] [file...]", Summary: "count lines, words and bytes", Run: wc,
	}
	shaCommand = &command.Command{
		Name: "shasum", Usage: "[-c] [-a 1|256|512] [file...]", Summary: "print or check SHA checksums", Run: sha,
	}
	sha256Command = &command.Command{
		Name: "sha256sum", Usage: "[-c] [file...]", Summary: "print or check SHA-256 checksums",
		Run: func(_ context.Context, c *command.Call) error { return sum(c, sha256.New) },
	}
	md5Command = &command.Command{
		Name: "md5sum", Usage: "[-c] [file...]", Summary: "print or check MD5 checksums",
		Run: func(_ context.Context, c *command.Call) error { return sum(c, md5.New) },
	}
	hexdumpCommand = &command.Command{
		Name: "hexdump", Usage: "[-n bytes] [file...]", Summary: "print bytes in hexadecimal and as text", Run: hexdump,
	}
	cmpCommand = &command.Command{
		Name: "cmp", Usage: "[-s] file1 file2", Summary: "tell where two files differ first", Run: cmpFiles,
	}
)

// counts is what wc counts in one file.
type counts struct{ lines, words, runes, bytes int64 }

func wc(_ context.Context, c *command.Call) error {
	o := c.Options()
	lines := o.Flag("l,lines", "lines")
	words := o.Flag("w,words", "words")
	runes := o.Flag("m,chars", "characters (of UTF-8)")
	size := o.Flag("c,bytes", "bytes")
	names, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	if !*lines && !*words && !*runes && !*size {
		*lines, *words, *size = true, true, true
	}
	show := func(n counts, name string) {
		var row []string
		for _, column := range []struct {
			on bool
			n  int64
		}{{*lines, n.lines}, {*words, n.words}, {*runes, n.runes}, {*size, n.bytes}} {
			if column.on {
				row = append(row, fmt.Sprint(column.n))
			}
		}
		if name != "-" || len(names) > 0 {
			row = append(row, name)
		}
		fmt.Fprintln(c.Out, strings.Join(row, " "))
	}
	var total counts
	err = c.Inputs(names, func(name string, r io.Reader) error {
		n, err := count(r)
		if err != nil {
			return err
		}
		total = counts{total.lines + n.lines, total.words + n.words, total.runes + n.runes, total.bytes + n.bytes}
		show(n, name)
		return nil
	})
	if len(names) > 1 {
		show(total, "total")
	}
	return err
}

func count(r io.Reader) (n counts, err error) {
	buf := make([]byte, 64<<10)
	inWord := false
	for {
		got, err := r.Read(buf)
		n.bytes += int64(got)
		n.lines += int64(bytes.Count(buf[:got], []byte{'\n'}))
		for _, b := range buf[:got] {
			space := b == ' ' || b >= '\t' && b <= '\r'
			if inWord == space {
				inWord = !space
				if inWord {
					n.words++
				}
			}
			if utf8.RuneStart(b) {
				n.runes++
			}
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// sha is sum with the kind to choose.
func sha(_ context.Context, c *command.Call) error {
	o := c.Options()
	algorithm := o.Int("a,algorithm", "N", 1, 1, "1, 256 or 512")
	kinds := map[int]func() hash.Hash{1: sha1.New, 256: sha256.New, 512: sha512.New}
	return sums(c, o, func() (func() hash.Hash, error) {
		if kind, ok := kinds[*algorithm]; ok {
			return kind, nil
		}
		return nil, command.Usagef("-a: there is no SHA-%d here, but 1, 256 and 512", *algorithm)
	})
}

func sum(c *command.Call, kind func() hash.Hash) error {
	return sums(c, c.Options(), func() (func() hash.Hash, error) { return kind, nil })
}

// sums prints or checks sums of a kind that is chosen once options are read.
func sums(c *command.Call, o *command.Options, choose func() (func() hash.Hash, error)) error {
	check := o.Flag("c,check", "read checksums from the files and check them")
	names, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	kind, err := choose()
	if err != nil {
		return err
	}
	if *check {
		return checkSums(c, names, kind)
	}
	return c.Inputs(names, func(name string, r io.Reader) error {
		h := kind()
		if _, err := io.Copy(h, r); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.Out, "%x  %s\n", h.Sum(nil), name)
		return err
	})
}

func checkSums(c *command.Call, names []string, kind func() hash.Hash) error {
	bad := false
	err := c.Inputs(names, func(list string, r io.Reader) error {
		return eachLine(r, nil, func(line []byte) (bool, error) {
			want, name, ok := strings.Cut(string(line), "  ")
			if sum, err := hex.DecodeString(want); !ok || err != nil || len(sum) != kind().Size() {
				return false, fmt.Errorf("%q is not a line of checksum, two spaces and name", line)
			}
			verdict := "OK"
			if err := checkSum(c.Path(name), want, kind()); err != nil {
				verdict, bad = "FAILED: "+err.Error(), true
			}
			_, err := fmt.Fprintf(c.Out, "%s: %s\n", name, verdict)
			return true, err
		})
	})
	if bad && err == nil {
		err = command.Exit(command.StatusFailed)
	}
	return err
}

func checkSum(path, want string, h hash.Hash) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // opened for reading
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); !strings.EqualFold(got, want) {
		return errors.New("the checksum differs")
	}
	return nil
}

func hexdump(_ context.Context, c *command.Call) error {
	o := c.Options()
	o.Flag("C,canonical", "accepted: this form is the only one")
	most := o.Int("n,length", "BYTES", -1, 0, "stop after so many bytes")
	names, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.Out)
	dump := hex.Dumper(out)
	left := int64(*most)
	err = c.Inputs(names, func(_ string, r io.Reader) error {
		if *most < 0 {
			_, err := io.Copy(dump, r)
			return err
		}
		n, err := io.Copy(dump, io.LimitReader(r, left))
		left -= n
		return err
	})
	return errors.Join(err, dump.Close(), out.Flush())
}

func cmpFiles(_ context.Context, c *command.Call) error {
	o := c.Options()
	silent := o.Flag("s,silent", "print nothing, only tell by the exit status")
	names, err := o.Parse(2, 2)
	if err != nil {
		return err
	}
	var in [2]*bufio.Reader
	for i, name := range names {
		if name == "-" {
			in[i] = bufio.NewReader(c.In)
			continue
		}
		f, err := os.Open(c.Path(name))
		if err != nil {
			return command.Named(name, err)
		}
		defer f.Close() // opened for reading
		in[i] = bufio.NewReader(f)
	}
	difference, err := firstDifference(in[0], in[1])
	if err != nil || difference == "" {
		return err
	}
	if !*silent {
		fmt.Fprintf(c.Out, "%s %s differ: %s\n", names[0], names[1], difference)
	}
	return command.Exit(command.StatusFailed)
}

// firstDifference says in words where two streams part, "" if nowhere.
func firstDifference(a, b *bufio.Reader) (string, error) {
	line := 1
	for at := 1; ; at++ {
		x, errA := a.ReadByte()
		y, errB := b.ReadByte()
		switch {
		case errA == io.EOF && errB == io.EOF:
			return "", nil
		case errA == io.EOF || errB == io.EOF:
			which := "first"
			if errB == io.EOF {
				which = "second"
			}
			return fmt.Sprintf("the %s ends after byte %d", which, at-1), nil
		case errA != nil || errB != nil:
			return "", errors.Join(errA, errB)
		case x != y:
			return fmt.Sprintf("byte %d, line %d", at, line), nil
		case x == '\n':
			line++
		}
	}
}
