package files

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/apps/shell/command"
)

func TestHuman(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0", 1023: "1023", 1024: "1.0K", 1025: "1.1K", 10 << 10: "10K", 10<<10 - 1: "10K",
		1<<20 - 1: "1.0M", 1536 << 20: "1.5G", 1<<64 - 1: "16E",
	} {
		if got := Human(n); got != want {
			t.Errorf("%d is shown as %s, want %s", n, got, want)
		}
	}
}

func TestMode(t *testing.T) {
	for mode, want := range map[fs.FileMode]string{
		0o644: "-rw-r--r--", fs.ModeDir | 0o755: "drwxr-xr-x", fs.ModeSymlink | 0o777: "lrwxrwxrwx",
		fs.ModeSetuid | 0o755: "-rwsr-xr-x", fs.ModeDir | fs.ModeSticky | 0o776: "drwxrwxrwT",
		fs.ModeDevice | fs.ModeCharDevice | 0o600: "crw-------",
	} {
		if got := Mode(mode); got != want {
			t.Errorf("%v is shown as %s, want %s", mode, got, want)
		}
	}
}

// A size that is taken is not negative, and taken as a plain number, too.
func FuzzSize(f *testing.F) {
	f.Add("64K")
	f.Add("4194304t")
	f.Add("9223372036854775807T")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseSize(text)
		if err != nil {
			return
		}
		if again, err := ParseSize(strconv.FormatInt(n, 10)); n < 0 || err != nil || again != n {
			t.Errorf("%q is %d, and that is %d, %v", text, n, again, err)
		}
	})
}

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "4096": 4096, "64K": 64 << 10, "1m": 1 << 20, "2T": 2 << 40} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%s is %d, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "K", "-1", "1X", "99999999T", "1.5G", "5k5"} {
		if got, err := ParseSize(bad); err == nil {
			t.Errorf("%q is taken for %d", bad, got)
		}
	}
}

// archive makes an archive of members with the given headers.
func archive(t *testing.T, members ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range members {
		if h.Typeflag == tar.TypeReg {
			h.Size = 4
		}
		h.Mode = 0o644
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, "evil"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// unpackInto runs tar -x on an archive and returns its status and errors.
func unpackInto(dir string, data []byte) (int, string) {
	var errs bytes.Buffer
	status := tarCommand.Status(context.Background(), &command.Call{
		Args: []string{"-x"}, Dir: dir, In: bytes.NewReader(data), Out: io.Discard, Err: &errs,
	})
	return status, errs.String()
}

// TestTarStaysInside sees that no archive writes outside of where it is unpacked.
func TestTarStaysInside(t *testing.T) {
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg} }
	for name, members := range map[string][]tar.Header{
		"upwards":        {file("../outside")},
		"absolute":       {file("/tmp/tuplix-test-outside")},
		"through a link": {{Name: "link", Linkname: "..", Typeflag: tar.TypeSymlink}, file("link/outside")},
		"a hard link":    {{Name: "link", Linkname: "../secret", Typeflag: tar.TypeLink}},
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			dir := filepath.Join(top, "inside")
			if err := errors.Join(os.Mkdir(dir, 0o777), os.WriteFile(filepath.Join(top, "secret"), nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			status, errs := unpackInto(dir, archive(t, members...))
			if status == 0 {
				t.Errorf("it was unpacked: %s", errs)
			}
			if found, err := filepath.Glob(filepath.Join(top, "*")); err != nil || len(found) != 2 {
				t.Errorf("outside there is %q, %v", found, err)
			}
		})
	}
	if _, err := os.Lstat("/tmp/tuplix-test-outside"); err == nil {
		t.Error("an absolute name was unpacked")
	}
}

func FuzzUntar(f *testing.F) {
	f.Add([]byte("nonsense"))
	f.Fuzz(func(t *testing.T, data []byte) {
		top := t.TempDir()
		dir := filepath.Join(top, "inside")
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		unpackInto(dir, data)
		if found, err := filepath.Glob(filepath.Join(top, "*")); err != nil || len(found) != 1 {
			t.Errorf("outside there is %q, %v", found, err)
		}
	})
}

func FuzzFind(f *testing.F) {
	f.Add("-name\n*.go\n!\n-type\nd")
	f.Add("-size\n+1k\n-mtime\n-1")
	f.Fuzz(func(t *testing.T, args string) {
		if strings.Contains(args, "delete") || strings.Contains(args, "/") || strings.Contains(args, "..") {
			return
		}
		call := &command.Call{
			Args: append([]string{"."}, strings.Split(args, "\n")...), Dir: t.TempDir(), Out: io.Discard, Err: io.Discard,
			Exec: func(context.Context, []string, io.Reader) error { return nil },
		}
		findCommand.Status(context.Background(), call)
	})
}

func TestMountOf(t *testing.T) {
	list := []mount{{"a", "/", "x"}, {"b", "/proc", "x"}, {"c", "/data", "x"}, {"d", "/data", "x"}}
	for path, want := range map[string]string{"/": "a", "/etc": "a", "/process": "a", "/proc/1": "b", "/data": "d"} {
		if got := on(list, path); got.device != want {
			t.Errorf("%s is on %s, want %s", path, got.device, want)
		}
	}
}
