package image

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// shadowDir holds files that take the place of, or are added to, those of the
// Go distribution while an image is built, at the same paths below GOROOT. The
// go command ignores the directory itself because of its name.
const shadowDir = "board/pc/_goroot"

// shadowGoroot adds the files of shadowDir, if there are any, to the overlay.
func (w *workspace) shadowGoroot() error {
	base := filepath.Join(w.root, filepath.FromSlash(shadowDir))
	return filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) && path == base {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(base, path)
		if err != nil {
			return err
		}
		w.overlay[filepath.Join(w.goroot, rel)] = path
		return nil
	})
}

// inject adds a file to the package in dir that imports the system. Its name is
// base and suffix, or one close to it if the package already has such a file.
func (w *workspace) inject(dir, pkg, base, suffix string) error {
	name := base + suffix
	for n := 1; ; n++ {
		if _, err := os.Lstat(filepath.Join(dir, name)); os.IsNotExist(err) {
			break
		} else if err != nil {
			return err
		}
		name = fmt.Sprintf("%s%d%s", base, n, suffix)
	}
	text := fmt.Sprintf("package %s\n\nimport _ %q // the system that this program runs on\n", pkg, boardPath)
	path := filepath.Join(w.dir, pkg+suffix)
	if err := writeIfChanged(path, []byte(text)); err != nil {
		return err
	}
	w.overlay[filepath.Join(dir, name)] = path
	return nil
}

// overlayFlag writes the overlay for the go command and returns the flag that
// names it.
func (w *workspace) overlayFlag() (string, error) {
	text, err := json.MarshalIndent(map[string]any{"Replace": w.overlay}, "", "\t")
	if err != nil {
		return "", err
	}
	path := filepath.Join(w.dir, "overlay.json")
	return "-overlay=" + path, writeIfChanged(path, text)
}
