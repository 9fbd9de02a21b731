package image

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// writeIfChanged writes a file unless it already holds the text, so that the
// go command sees an unchanged file as unchanged.
func writeIfChanged(path string, text []byte) error {
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, text) {
		return nil
	}
	return writeWhole(path, text, 0o600)
}

// writeWhole replaces a file in one step.
func writeWhole(path string, data []byte, mode os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err = f.Chmod(mode); err != nil {
		f.Close()
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func absolute(base, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// within reports whether path is dir or lies below it.
func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// appendNew appends dir unless the list already names that directory.
func appendNew(list []string, dir string) []string {
	if slices.ContainsFunc(list, func(have string) bool { return have == dir || sameFile(have, dir) }) {
		return list
	}
	return append(list, dir)
}
