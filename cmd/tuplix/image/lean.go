package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The name of one method keeps a fifth of an image that nobody calls. Protobuf, which
// Pebble's metrics need, prints the descriptors of services by reflection, and so
// mentions a method called "Methods". The linker keeps all methods of that name,
// reflect.Value's among them, which (since Go 1.26) can call any method by its
// number. So it keeps every exported method of the program. An image is therefore
// built with a copy of the module without that line: the methods are missing where a
// descriptor of a service is printed.
const (
	leanModule = "google.golang.org/protobuf"
	leanFile   = "internal/descfmt/stringer.go"
	leanLine   = `{rv.MethodByName("Methods"), "Methods"},`
)

// module is what the go command tells of one.
type module struct {
	Path, Version, Dir string
	Replace            *module
}

// lean makes the copy for the version that the workspace would use. It returns
// nothing where the module is not needed, is replaced by the application, or is of a
// version without the line.
func (w *workspace) lean(ctx context.Context) (m module, dir string, err error) {
	overlay, err := w.overlayFlag()
	if err != nil {
		return m, "", err
	}
	out, err := goOutput(ctx, w.from, w.env, "list", "-m", "-e", "-json=Path,Version,Dir,Replace", overlay, leanModule)
	if err != nil || len(out) == 0 {
		return m, "", nil // the build will say what is wrong with the modules
	}
	if err := json.Unmarshal(out, &m); err != nil {
		return m, "", fmt.Errorf("go list -m: %w", err)
	}
	if m.Version == "" || m.Replace != nil {
		return m, "", nil
	}
	if m.Dir == "" {
		if out, err = goOutput(ctx, w.from, w.env, "mod", "download", "-json", m.Path+"@"+m.Version); err != nil {
			return m, "", err
		}
		if err := json.Unmarshal(out, &m); err != nil {
			return m, "", fmt.Errorf("go mod download: %w", err)
		}
	}
	text, err := os.ReadFile(filepath.Join(m.Dir, leanFile))
	if errors.Is(err, fs.ErrNotExist) {
		return m, "", nil
	}
	if err != nil || bytes.Count(text, []byte(leanLine)) != 1 {
		return m, "", err
	}
	dir, err = cacheDir("lean", m.Path, m.Version, leanLine)
	if err != nil {
		return m, "", err
	}
	return m, filepath.Join(dir, "module"), copyLean(m.Dir, filepath.Join(dir, "module"))
}

// copyLean copies the module without the line, unless that was done before. Builds of
// other directories may do the same meanwhile.
func copyLean(from, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	part, err := os.MkdirTemp(filepath.Dir(to), "part")
	if err != nil {
		return err
	}
	defer os.RemoveAll(part)
	if err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "testprotos"):
			return fs.SkipDir // the larger half, for the module's own tests
		case d.IsDir() || strings.HasSuffix(d.Name(), "_test.go"):
			return nil
		}
		return copyLeanFile(from, part, path)
	}); err != nil {
		return err
	}
	if err := os.Rename(part, to); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func copyLeanFile(from, to, path string) error {
	rel, err := filepath.Rel(from, path)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if filepath.ToSlash(rel) == leanFile {
		text = bytes.Replace(text, []byte(leanLine), nil, 1)
	}
	to = filepath.Join(to, rel)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}
