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

// Images are built with copies of three modules (gVisor's is in leangvisor.go), which lack
// what no image needs; see docs/decisions/0028 and 0035.
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

// edit is a piece of a file that is replaced, once.
type edit struct{ file, old, new string }

// applyEdits returns the text of a file with its edits.
func applyEdits(edits []edit, file, text string) string {
	for _, e := range edits {
		if e.file == file {
			text = strings.Replace(text, e.old, e.new, 1)
		}
	}
	return text
}

// pebbleLines are lines of Pebble that cost time at each boot, and what is there instead:
// patterns of its tests and of one line of its options, compiled anew each time, and a
// stack trace that says where a cache was made that nobody closes.
var pebbleLines = []edit{
	{"internal/cache/cache.go", `string(debug.Stack())`, `"(not kept)"`},
	{"internal/cache/cache.go", "\t\"runtime/debug\"\n", ""},
	{"internal/testkeys/testkeys.go", `var prefixRE = regexp.MustCompile("[" + alpha + "]+")`, ""},
	{"internal/testkeys/testkeys.go", `!prefixRE.Match(p)`, `!bytes.ContainsAny(p, alpha)`},
	{"internal/testkeys/testkeys.go", "\t\"regexp\"\n", ""},
	{"options.go", "regexp.MustCompile(`Level\\s*\"?(\\d+)\"?\\s*$`).FindStringSubmatch(section)", "levelOf(section)"},
	{"options.go", "\t\"regexp\"\n", ""},
}

// levelOf is added to Pebble for a pattern that it compiles for each line of its options.
const levelOf = `package pebble

import "strings"

// levelOf finds the number in Level "N" at the end of a text: the match of
// Level\s*"?(\d+)"?\s*$ and the number, or nil.
func levelOf(section string) []string {
	text := strings.TrimRight(section, "\t\n\f\r ")
	text = strings.TrimSuffix(text, "\"")
	head := strings.TrimRight(text, "0123456789")
	number := text[len(head):]
	head = strings.TrimRight(strings.TrimSuffix(head, "\""), "\t\n\f\r ")
	if number == "" || !strings.HasSuffix(head, "Level") {
		return nil
	}
	return []string{section[len(head)-len("Level"):], number}
}
`

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
	for _, c := range []struct {
		name string
		copy func(m module, f *modfile.WorkFile) (string, error)
	}{{leanModule, leanProtobuf}, {leanPebble, w.leanPebble}, {leanGvisor, w.leanGvisor}} {
		m, err := w.findModule(ctx, c.name)
		if err != nil {
			return nil, err
		}
		if m.Dir == "" {
			continue
		}
		dir, err := c.copy(m, f)
		if err != nil {
			return nil, err
		}
		if dir != "" {
			list = append(list, copied{m, dir})
		}
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
func leanProtobuf(m module, _ *modfile.WorkFile) (string, error) {
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
	if w.required(w.root, leanPebble) != m.Version {
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
	added["levelof.go"] = []byte(levelOf)
	key := []string{m.Path, m.Version, fmt.Sprint(pebbleLines)}
	for _, name := range slices.Sorted(maps.Keys(added)) {
		key = append(key, name, string(added[name]))
	}
	dir, err := cacheDir("lean", key...)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "module")
	return dir, copyLean(m.Dir, dir, added, func(name string, text []byte) []byte {
		if path.Ext(name) != ".go" {
			return text
		}
		return []byte(applyEdits(pebbleLines, name, standFor.Replace(string(text))))
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
