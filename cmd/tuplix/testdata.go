package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tuplix/tuplix/cmd/tuplix/image"
)

// maxTestData bounds the files that go into the guest with a package's tests,
// in bytes.
const maxTestData = 256 << 20

// errTooMuch says that the bound was reached.
var errTooMuch = fmt.Errorf("the package's directory and testdata hold more than %d MB: too much for a boot module", maxTestData>>20)

// dataArchive collects the files that a package's tests may read, under the
// names they have on this host: the package's own directory (of other packages
// below it the names only), testdata directories there and in the directories
// above, and for packages of the Go distribution what their tests look for in
// GOROOT and on a Unix machine.
type dataArchive struct {
	out  *tar.Writer
	done map[string]bool
	size int64
}

// writeTestData writes the archive of p's files.
func writeTestData(w io.Writer, p image.TestPackage, goroot string) error {
	a := &dataArchive{out: tar.NewWriter(w), done: make(map[string]bool)}
	if err := a.directory("/tmp", 0o1777); err != nil {
		return err
	}
	if err := a.flat(p.Dir); err != nil {
		return err
	}
	for dir := p.Dir; ; dir = filepath.Dir(dir) {
		if err := a.tree(filepath.Join(dir, "testdata")); err != nil {
			return err
		}
		if isModuleRoot(dir) || dir == filepath.Dir(dir) {
			break
		}
	}
	if p.Standard {
		if err := a.distribution(goroot); err != nil {
			return err
		}
	}
	return a.out.Close()
}

// distribution adds what the distribution's tests look for outside their
// packages.
func (a *dataArchive) distribution(goroot string) error {
	for _, name := range []string{"VERSION", "go.env", "lib/time", "src/go.mod", "src/go.sum", "src/unicode"} {
		if err := a.tree(filepath.Join(goroot, name)); err != nil {
			return err
		}
	}
	return a.commands()
}

// commands adds a directory that has the names of many commands in it; tests
// of package os list it. It has no commands: there is nothing to execute.
func (a *dataArchive) commands() error {
	if err := a.directory("/usr/bin", 0o755); err != nil {
		return err
	}
	for n := range 300 {
		err := a.out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("usr/bin/command%d", n), Mode: 0o644})
		if err != nil {
			return err
		}
	}
	return nil
}

// isModuleRoot reports whether dir is where a module starts: files above it
// are not the package's.
func isModuleRoot(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// flat adds a directory and what is in it, but not what is in directories
// there.
func (a *dataArchive) flat(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if err := a.directory(dir, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		if err := a.entry(filepath.Join(dir, e.Name()), e); err != nil {
			return err
		}
	}
	return nil
}

// tree adds a file or directory and everything below it. One that does not
// exist is no error.
func (a *dataArchive) tree(root string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if path == root && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return a.entry(path, e)
	})
}

// entry adds one file, directory or symbolic link. Other things (sockets,
// devices) are left out.
func (a *dataArchive) entry(path string, e fs.DirEntry) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	switch {
	case info.IsDir():
		return a.directory(path, info.Mode().Perm())
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		return a.header(path, info, target)
	case info.Mode().IsRegular():
		return a.file(path, info)
	}
	return nil
}

// header writes the header of path and of the directories it is in. It does
// nothing for what is in the archive already.
func (a *dataArchive) header(path string, info fs.FileInfo, link string) error {
	if a.done[path] {
		return nil
	}
	if err := a.directory(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name = strings.TrimPrefix(path, "/")
	h.Uid, h.Gid, h.Uname, h.Gname = 0, 0, "root", "root"
	a.done[path] = true
	return a.out.WriteHeader(h)
}

func (a *dataArchive) file(path string, info fs.FileInfo) error {
	if a.done[path] {
		return nil
	}
	if a.size += info.Size(); a.size > maxTestData {
		return errTooMuch
	}
	if err := a.header(path, info, ""); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyN(a.out, f, info.Size())
	return err
}

func (a *dataArchive) directory(path string, mode fs.FileMode) error {
	if path == "/" || a.done[path] {
		return nil
	}
	if err := a.directory(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	a.done[path] = true
	return a.out.WriteHeader(&tar.Header{
		Typeflag: tar.TypeDir,
		Name:     strings.TrimPrefix(path, "/") + "/",
		Mode:     int64(mode),
	})
}
