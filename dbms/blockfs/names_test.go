package blockfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The cases follow those of Pebble's own vfs tests, each a line:
//
//	command arguments -> result
//
// The result is "ok", names, content, or what the error is.
const conformance = `
link a b -> not-exist
create a -> ok
link a b -> ok
link a b -> exist
link c d -> not-exist
remove b -> ok
remove b -> not-exist
create foo/x -> not-exist
create a/x -> not-dir
mkdir a/y -> not-dir
create bar/baz/y -> not-exist
open bar/baz/y -> not-exist
mkdir /bar/baz -> ok
mkdir /bar/baz -> ok
write /bar/baz/y abcde -> ok
read bar/baz/y -> abcde
read ./bar//baz/../baz/y -> abcde
create bar -> is-dir
rw bar -> is-dir
link /bar/baz/y /bar/baz/z -> ok
link bar lbar -> permission
read /bar/baz/z -> abcde
remove /bar/baz/z -> ok
read /bar/baz/y -> abcde
list / -> a bar
list bar -> baz
list bar/baz -> y
list a -> not-dir
list nowhere -> not-exist
remove bar -> not-empty
remove / -> exist
rename bar/baz bar/caz -> ok
open bar/baz/y -> not-exist
read bar/caz/y -> abcde
rename bar bar/caz/in -> invalid
rename bar a -> not-dir
rename a bar -> is-dir
mkdir empty -> ok
rename empty bar -> not-empty
rename bar/caz empty -> ok
list bar ->
read empty/y -> abcde
rename a a -> ok
rename nowhere a -> not-exist
link empty/y y2 -> ok
rename y2 empty/y -> ok
list / -> a bar empty y2
write y2 new -> ok
read empty/y -> abcde
read y2 -> new
rename y2 empty/y -> ok
read empty/y -> new
reuse empty/y bar/w -> ok
reuse x y -> not-exist
read bar/w -> new
open empty/y -> not-exist
removeall nowhere -> ok
removeall a/b/c -> ok
removeall bar -> ok
removeall bar -> ok
list / -> a empty
opendir a -> not-dir
opendir empty -> ok
stat a -> a 0 false
stat / -> / 0 true
stat empty -> empty 0 true
lock LOCK -> ok
lock LOCK -> again
lock empty -> is-dir
list -> LOCK a empty
create LONGNAME -> too-long
removeall / -> ok
list / ->
`

func TestConformance(t *testing.T) {
	_, fs := formatted(t, 8<<20, 512)
	for line := range strings.Lines(strings.ReplaceAll(conformance, "LONGNAME", strings.Repeat("n", 256))) {
		command, want, ok := strings.Cut(strings.TrimSpace(line), " ->")
		if !ok {
			continue
		}
		if got := conform(fs, strings.Fields(command)); got != strings.TrimSpace(want) {
			t.Errorf("%s: got %q, want %q", command, got, strings.TrimSpace(want))
		}
	}
}

// conform runs one command and tells the result.
func conform(fs vfs.FS, c []string) string {
	c = append(c, "", "")
	switch c[0] {
	case "create":
		return closed(fs.Create(c[1], unspecified))
	case "rw":
		return closed(fs.OpenReadWrite(c[1], unspecified))
	case "open":
		return closed(fs.Open(c[1]))
	case "opendir":
		return closed(fs.OpenDir(c[1]))
	case "reuse":
		return closed(fs.ReuseForWrite(c[1], c[2], unspecified))
	case "write":
		f, err := fs.Create(c[1], unspecified)
		if err == nil {
			_, err = f.Write([]byte(c[2]))
			err = errors.Join(err, f.Close())
		}
		return outcome(err)
	case "read":
		f, err := fs.Open(c[1])
		if err != nil {
			return outcome(err)
		}
		data, err := io.ReadAll(f)
		return string(data) + outcome(errors.Join(err, f.Close()))[2:]
	case "list":
		names, err := fs.List(c[1])
		if err != nil {
			return outcome(err)
		}
		return strings.Join(names, " ")
	case "stat":
		i, err := fs.Stat(c[1])
		if err != nil {
			return outcome(err)
		}
		return fmt.Sprint(i.Name(), " ", i.Size(), " ", i.IsDir())
	case "lock":
		_, err := fs.Lock(c[1])
		return outcome(err)
	case "link":
		return outcome(fs.Link(c[1], c[2]))
	case "rename":
		return outcome(fs.Rename(c[1], c[2]))
	case "mkdir":
		return outcome(fs.MkdirAll(c[1], 0o755))
	case "remove":
		return outcome(fs.Remove(c[1]))
	case "removeall":
		return outcome(fs.RemoveAll(c[1]))
	}
	return "no such command"
}

func closed(f vfs.File, err error) string {
	if err == nil {
		err = f.Close()
	}
	return outcome(err)
}

func outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, syscall.ENOTDIR):
		return "not-dir"
	case errors.Is(err, syscall.EISDIR):
		return "is-dir"
	case errors.Is(err, syscall.ENOTEMPTY):
		return "not-empty"
	case errors.Is(err, syscall.EAGAIN):
		return "again"
	case errors.Is(err, syscall.ENAMETOOLONG):
		return "too-long"
	case errors.Is(err, syscall.EINVAL):
		return "invalid"
	case oserror.IsNotExist(err):
		return "not-exist"
	case oserror.IsExist(err):
		return "exist"
	case oserror.IsPermission(err):
		return "permission"
	}
	return err.Error()
}

func TestNamesSurviveReopening(t *testing.T) {
	dev, fs := formatted(t, 8<<20, 4096)
	must(t, fs.MkdirAll("a/b/c", 0o755))
	writeFile(t, fs, "a/b/f", []byte("hello"))
	must(t, fs.Link("a/b/f", "a/b/c/g"))
	must(t, fs.Rename("a/b", "d"))
	fs = reopen(t, dev, fs)
	if got := readFile(t, fs, "d/c/g"); string(got) != "hello" {
		t.Fatalf("read %q", got)
	}
	names, err := fs.List("d")
	must(t, err)
	if !slices.Equal(names, []string{"c", "f"}) {
		t.Fatalf("names %q", names)
	}
	must(t, fs.Close())
}

func TestClone(t *testing.T) {
	_, fs := formatted(t, 8<<20, 512)
	must(t, fs.MkdirAll("d/e", 0o755))
	writeFile(t, fs, "d/e/f", pattern(1, 10000))
	for _, to := range []string{"linked", "copied"} {
		opts := []vfs.CloneOption{vfs.CloneSync}
		if to == "linked" {
			opts = append(opts, vfs.CloneTryLink)
		}
		ok, err := vfs.Clone(fs, fs, "d", to, opts...)
		must(t, err)
		if !ok || !bytes.Equal(readFile(t, fs, to+"/e/f"), pattern(1, 10000)) {
			t.Fatalf("%s differs", to)
		}
	}
}

func TestUseAfterClose(t *testing.T) {
	_, fs := formatted(t, 8<<20, 512)
	f, err := fs.Create("f", unspecified)
	must(t, err)
	must(t, f.Close())
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second close: %v", err)
	}
	must(t, fs.Close())
	if _, err := fs.Create("g", unspecified); !errors.Is(err, os.ErrClosed) {
		t.Errorf("create after close: %v", err)
	}
	if _, err := fs.Open("f"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("open after close: %v", err)
	}
}
