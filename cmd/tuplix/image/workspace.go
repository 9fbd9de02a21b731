package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/version"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/mod/modfile"
)

// workspace is a directory in the user's cache from which one application
// directory is built together with the system: a go.work file that uses both
// modules, the overlay, and the linked file of the last build.
type workspace struct {
	dir     string            // private to the workspace, locked while open
	root    string            // directory of the Tuplix module
	from    string            // where the go command runs
	env     []string          // settings for the go command
	goroot  string            // GOROOT of that go command
	overlay map[string]string // file as the go command sees it: file that holds its text
	std     string            // import path, if the workspace is for a directory of the Go distribution
	lock    *os.File
}

// goEnv is the part of "go env -json" that decides how modules are found.
type goEnv struct {
	GOFLAGS, GOMOD, GOROOT, GOVERSION, GOWORK string
}

func readGoEnv(ctx context.Context, dir string) (goEnv, error) {
	var e goEnv
	out, err := goOutput(ctx, dir, nil, "env", "-json", "GOFLAGS", "GOMOD", "GOROOT", "GOVERSION", "GOWORK")
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(out, &e); err != nil {
		return e, fmt.Errorf("go env: %w", err)
	}
	return e, nil
}

// openWorkspace prepares the workspace for building packages as seen from the
// absolute directory from. Another build of the same directory is waited for.
func openWorkspace(ctx context.Context, root, from string) (*workspace, error) {
	e, err := readGoEnv(ctx, from)
	if err != nil {
		return nil, err
	}
	if module := filepath.Dir(e.GOMOD); checkRoot(module) == nil {
		root = module // inside another copy of the system, that copy is meant
	}
	w := &workspace{root: root, from: from, goroot: e.GOROOT, overlay: make(map[string]string)}
	w.env = []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=" + withTags(withoutMod(e.GOFLAGS))}
	if w.dir, err = cacheDir("build", root, from); err != nil {
		return nil, err
	}
	if w.lock, err = lockFile(filepath.Join(w.dir, "lock")); err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		func() error { return w.join(ctx, e) }, w.shadowGoroot, w.addGate,
	} {
		if err := step(); err != nil {
			w.Close()
			return nil, err
		}
	}
	return w, nil
}

// pattern translates a package pattern relative to the workspace's directory
// into one that holds where the go command runs.
func (w *workspace) pattern(p string) string {
	if w.std == "" {
		return p
	}
	if rest, ok := strings.CutPrefix(p, "."); ok {
		return path.Join(w.std, rest)
	}
	return p
}

// Close lets another build use the workspace. The files stay.
func (w *workspace) Close() error { return w.lock.Close() }

// join makes the go command see the application's module and the system's, and the
// lean copies of what both import.
func (w *workspace) join(ctx context.Context, e goEnv) error {
	module := filepath.Dir(e.GOMOD)
	switch {
	case within(filepath.Join(e.GOROOT, "src"), w.from):
		// The Go distribution is its own main module only to itself: look at
		// it from the system's.
		rel, err := filepath.Rel(filepath.Join(e.GOROOT, "src"), w.from)
		if err != nil {
			return err
		}
		w.std, w.from = filepath.ToSlash(rel), w.root
		fallthrough
	case e.GOMOD != "" && e.GOMOD != os.DevNull && sameFile(module, w.root):
		module, e.GOWORK = w.root, "off"
	case e.GOMOD == "" || e.GOMOD == os.DevNull:
		if e.GOWORK == "" || e.GOWORK == "off" {
			module = w.from
			if err := w.inventModule(e); err != nil {
				return err
			}
			break
		}
		return fmt.Errorf("%s belongs to no module of %s", w.from, e.GOWORK)
	}
	f, err := w.goWork(module, e)
	if err != nil {
		return err
	}
	work := filepath.Join(w.dir, "go.work")
	if err := writeIfChanged(work, modfile.Format(f.Syntax)); err != nil {
		return err
	}
	w.env = append(w.env, "GOWORK="+work)
	if err := w.seedSums(e.GOWORK); err != nil {
		return err
	}
	copies, err := w.lean(ctx, f)
	if err != nil {
		return err
	}
	for _, c := range copies {
		if err := f.AddReplace(c.Path, c.Version, c.dir, ""); err != nil {
			return err
		}
	}
	f.Cleanup()
	return writeIfChanged(work, modfile.Format(f.Syntax))
}

// inventModule gives a directory of Go files outside any module a go.mod that
// exists only in the overlay.
func (w *workspace) inventModule(e goEnv) error {
	invented := filepath.Join(w.dir, "invented.mod")
	lang := strings.TrimPrefix(version.Lang(e.GOVERSION), "go")
	text := "module local.invalid/" + moduleElement(filepath.Base(w.from)) + "\n\ngo " + lang + "\n"
	if err := writeIfChanged(invented, []byte(text)); err != nil {
		return err
	}
	w.overlay[filepath.Join(w.from, "go.mod")] = invented
	return nil
}

// moduleElement makes a legal element of a module path out of a file name.
func moduleElement(name string) string {
	clean := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, name)
	return strings.Trim("app-"+clean, "-")
}

// goWork composes the workspace file: everything an existing go.work says, the
// application's module, and the system's.
func (w *workspace) goWork(module string, e goEnv) (*modfile.WorkFile, error) {
	f := new(modfile.WorkFile)
	f.Syntax = new(modfile.FileSyntax)
	var uses []string
	if e.GOWORK != "" && e.GOWORK != "off" {
		old, err := readWork(e.GOWORK)
		if err != nil {
			return nil, err
		}
		base := filepath.Dir(e.GOWORK)
		for _, u := range old.Use {
			uses = append(uses, absolute(base, u.Path))
		}
		for _, r := range old.Replace {
			to := r.New.Path
			if modfile.IsDirectoryPath(to) {
				to = absolute(base, to)
			}
			if err := f.AddReplace(r.Old.Path, r.Old.Version, to, r.New.Version); err != nil {
				return nil, fmt.Errorf("%s: %w", e.GOWORK, err)
			}
		}
		for _, g := range old.Godebug {
			if err := f.AddGodebug(g.Key, g.Value); err != nil {
				return nil, fmt.Errorf("%s: %w", e.GOWORK, err)
			}
		}
	}
	uses = appendNew(uses, module)
	uses = appendNew(uses, w.root)
	lang := strings.TrimPrefix(version.Lang(e.GOVERSION), "go")
	for _, dir := range uses {
		if err := f.AddUse(dir, ""); err != nil {
			return nil, err
		}
		lang = newerGo(lang, w.goLine(dir))
	}
	if err := f.AddGoStmt(lang); err != nil {
		return nil, err
	}
	f.Cleanup()
	return f, nil
}

// goLine returns the go directive of the module in dir, or "" where it has
// none; a go.mod that cannot be read is the go command's to report.
func (w *workspace) goLine(dir string) string {
	f, err := w.readMod(dir)
	if err != nil || f.Go == nil {
		return ""
	}
	return f.Go.Version
}

// readMod returns the go.mod of the module in dir.
func (w *workspace) readMod(dir string) (*modfile.File, error) {
	file := filepath.Join(dir, "go.mod")
	if to, ok := w.overlay[file]; ok {
		file = to
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return modfile.ParseLax(file, data, nil)
}

func newerGo(a, b string) string {
	if version.Compare("go"+a, "go"+b) < 0 {
		return b
	}
	return a
}

func readWork(file string) (*modfile.WorkFile, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return modfile.ParseWork(file, data, nil)
}

// seedSums copies an existing workspace's go.work.sum beside the private
// go.work, where the go command looks for it and adds to it.
func (w *workspace) seedSums(work string) error {
	own := filepath.Join(w.dir, "go.work.sum")
	if work == "" || work == "off" {
		return nil
	}
	theirs, err := os.ReadFile(work + ".sum")
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	have, err := os.ReadFile(own)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	lines := strings.Split(string(have)+string(theirs), "\n")
	slices.Sort(lines)
	lines = slices.DeleteFunc(slices.Compact(lines), func(s string) bool { return s == "" })
	return writeIfChanged(own, []byte(strings.Join(lines, "\n")+"\n"))
}

// withoutMod drops -mod and -modfile from GOFLAGS: they are about the
// application's go.mod alone and the go command refuses them in a workspace.
func withoutMod(flags string) string {
	keep := slices.DeleteFunc(strings.Fields(flags), func(f string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(f, "-"), "=")
		return name == "mod" || name == "modfile" || name == "overlay"
	})
	return strings.Join(keep, " ")
}

// cacheDir makes a directory in the user's cache, named by the key.
func cacheDir(kind string, key ...string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = filepath.Join(os.TempDir(), fmt.Sprintf("cache-%d", os.Getuid()))
	}
	sum := sha256.Sum256([]byte(strings.Join(key, "\x00")))
	dir := filepath.Join(base, "tuplix", kind, hex.EncodeToString(sum[:8]))
	return dir, os.MkdirAll(dir, 0o700)
}

// lockFile takes an exclusive lock, waiting for it. Closing the file gives it
// up.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return f, nil
}
