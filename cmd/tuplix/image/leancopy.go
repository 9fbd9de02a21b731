package image

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// copyLean copies a module, edited and with files added, unless that was done before. Builds
// of other directories may do the same meanwhile.
func copyLean(from, to string, added map[string][]byte, edit func(name string, text []byte) []byte) error {
	return onceOnly(to, func(part string) error {
		if err := copyTree(from, part, edit); err != nil {
			return err
		}
		for name, text := range added {
			if err := addFile(part, filepath.FromSlash(name), text); err != nil {
				return err
			}
		}
		return nil
	})
}

func copyTree(from, to string, edit func(name string, text []byte) []byte) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "testprotos"):
			return fs.SkipDir // the larger half, for the module's own tests
		case d.IsDir() || strings.HasSuffix(d.Name(), "_test.go"):
			return nil
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return addFile(to, rel, edit(filepath.ToSlash(rel), text))
	})
}

func addFile(dir, name string, text []byte) error {
	to := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// onceOnly has a directory made, unless it is there.
func onceOnly(dir string, fill func(part string) error) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	part, err := os.MkdirTemp(filepath.Dir(dir), "part")
	if err != nil {
		return err
	}
	defer os.RemoveAll(part)
	if err := fill(part); err != nil {
		return err
	}
	if err := os.Rename(part, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
