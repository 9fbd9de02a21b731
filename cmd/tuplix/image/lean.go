package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// Images are built with copies of two modules, which lack what no image needs; see
// docs/decisions/0028 and 0033.
//
// The name of one method keeps a fifth of an image that nobody calls. Protobuf prints the
// descriptors of services by reflection, and so mentions a method called "Methods". The
// linker keeps all methods of that name, reflect.Value's among them, which (since Go 1.26)
// can call any method by its number. So it keeps every exported method of the program. The
// copy is without that line: the methods are missing where a descriptor of a service is
// printed.
const (
	leanModule = "google.golang.org/protobuf"
	leanFile   = "internal/descfmt/stringer.go"
	leanLine   = `{rv.MethodByName("Methods"), "Methods"},`
)

// Pebble imports what sends its errors and histograms to other machines. Its copy has the
// packages below standIns in their place, unless the application may use Pebble itself.
const (
	leanPebble = "github.com/cockroachdb/pebble/v2"
	standIns   = "cmd/tuplix/image/lean" // of the system's module
	standInsAt = "internal/lean"         // of the copy
)

// standFor are the import paths that become others in the copy of Pebble.
var standFor = strings.NewReplacer(
	`"github.com/cockroachdb/errors"`, `"`+leanPebble+"/"+standInsAt+`/errors"`,
	`"github.com/cockroachdb/errors/join"`, `"`+leanPebble+"/"+standInsAt+`/errors"`,
	`"github.com/cockroachdb/errors/oserror"`, `"`+leanPebble+"/"+standInsAt+`/errors/oserror"`,
	`"github.com/cockroachdb/redact"`, `"`+leanPebble+"/"+standInsAt+`/redact"`,
	`"github.com/prometheus/client_golang/prometheus"`, `"`+leanPebble+"/"+standInsAt+`/prometheus"`,
)

// module is what the go command tells of one.
type module struct {
	Path, Version, Dir string
	Replace            *module
}

// copied is a module and the directory of its copy.
type copied struct {
	module
	dir string
}

// lean makes the copies for the versions that the workspace would use. There is none of a
// module that is not needed, is replaced by the application, or is of another version than
// what is left out was found in.
func (w *workspace) lean(ctx context.Context, f *modfile.WorkFile) (list []copied, err error) {
	m, err := w.findModule(ctx, leanModule)
	if err != nil {
		return nil, err
	}
	if dir, err := leanProtobuf(m); err != nil {
		return nil, err
	} else if dir != "" {
		list = append(list, copied{m, dir})
	}
	if m, err = w.findModule(ctx, leanPebble); err != nil {
		return nil, err
	}
	if dir, err := w.leanPebble(m, f); err != nil {
		return nil, err
	} else if dir != "" {
		list = append(list, copied{m, dir})
	}
	return list, nil
}

// findModule returns a module as the workspace would use it, without a Dir if it is not to
// be copied.
func (w *workspace) findModule(ctx context.Context, name string) (m module, err error) {
	overlay, err := w.overlayFlag()
	if err != nil {
		return m, err
	}
	out, err := goOutput(ctx, w.from, w.env, "list", "-m", "-e", "-json=Path,Version,Dir,Replace", overlay, name)
	if err != nil || len(out) == 0 {
		return m, nil // the build will say what is wrong with the modules
	}
	if err := json.Unmarshal(out, &m); err != nil {
		return m, fmt.Errorf("go list -m: %w", err)
	}
	if m.Version == "" || m.Replace != nil {
		return module{}, nil
	}
	if m.Dir != "" {
		return m, nil
	}
	if out, err = goOutput(ctx, w.from, w.env, "mod", "download", "-json", m.Path+"@"+m.Version); err != nil {
		return m, err
	}
	if err := json.Unmarshal(out, &m); err != nil {
		return m, fmt.Errorf("go mod download: %w", err)
	}
	return m, nil
}

// leanProtobuf makes the copy without the line and returns where it is.
func leanProtobuf(m module) (string, error) {
	if m.Dir == "" {
		return "", nil
	}
	text, err := os.ReadFile(filepath.Join(m.Dir, leanFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil || bytes.Count(text, []byte(leanLine)) != 1 {
		return "", err
	}
	dir, err := cacheDir("lean", m.Path, m.Version, leanLine)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "module")
	return dir, copyLean(m.Dir, dir, nil, func(name string, text []byte) []byte {
		if name == leanFile {
			return bytes.Replace(text, []byte(leanLine), nil, 1)
		}
		return text
	})
}

// leanPebble makes the copy with stand-ins and returns where it is. Only the version that
// the system itself requires is known to need no more than they have.
func (w *workspace) leanPebble(m module, f *modfile.WorkFile) (string, error) {
	if m.Dir == "" || w.required(w.root, leanPebble) != m.Version {
		return "", nil
	}
	for _, u := range f.Use {
		if u.Path != w.root && w.required(u.Path, leanPebble) != "" {
			return "", nil // a program that may name the types of what is replaced
		}
	}
	added, err := w.readStandIns()
	if err != nil {
		return "", err
	}
	key := []string{m.Path, m.Version}
	for _, name := range slices.Sorted(maps.Keys(added)) {
		key = append(key, name, string(added[name]))
	}
	dir, err := cacheDir("lean", key...)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "module")
	return dir, copyLean(m.Dir, dir, added, func(name string, text []byte) []byte {
		if path.Ext(name) == ".go" {
			return []byte(standFor.Replace(string(text)))
		}
		return text
	})
}

// required returns the version of a module that the one in dir requires, "" for none.
func (w *workspace) required(dir, name string) string {
	f, err := w.readMod(dir)
	if err != nil {
		return ""
	}
	for _, r := range f.Require {
		if r.Mod.Path == name {
			return r.Mod.Version
		}
	}
	return ""
}

// readStandIns returns the files of the stand-ins, by where the copy has them.
func (w *workspace) readStandIns() (map[string][]byte, error) {
	files := make(map[string][]byte)
	base := filepath.Join(w.root, filepath.FromSlash(standIns))
	return files, filepath.WalkDir(base, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		rel, err := filepath.Rel(base, name)
		if err != nil {
			return err
		}
		files[path.Join(standInsAt, filepath.ToSlash(rel))], err = os.ReadFile(name)
		return err
	})
}

// copyLean copies a module, edited and with files added, unless that was done before. Builds
// of other directories may do the same meanwhile.
func copyLean(from, to string, added map[string][]byte, edit func(name string, text []byte) []byte) error {
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
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return addFile(part, rel, edit(filepath.ToSlash(rel), text))
	}); err != nil {
		return err
	}
	for name, text := range added {
		if err := addFile(part, filepath.FromSlash(name), text); err != nil {
			return err
		}
	}
	if err := os.Rename(part, to); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func addFile(dir, name string, text []byte) error {
	to := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}
