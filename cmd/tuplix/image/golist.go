package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// locate tells a directory from an import path. It returns the directory to
// run the go command in and the pattern that names the package there.
func locate(arg string) (from, pattern string, err error) {
	if arg == "" {
		arg = "."
	}
	dir, all := strings.CutSuffix(arg, "/...")
	info, err := os.Stat(dir)
	switch {
	case err == nil && info.IsDir() && all:
		from, err = realDir(dir)
		return from, "./...", err
	case err == nil && info.IsDir():
		from, err = realDir(arg)
		return from, ".", err
	case err == nil:
		return "", "", fmt.Errorf("%s is a file: name the directory of the package", arg)
	case filepath.IsAbs(arg) || strings.HasPrefix(arg, "./") || strings.HasPrefix(arg, "../"):
		return "", "", fmt.Errorf("no such directory: %s", arg)
	}
	from, err = realDir(".")
	return from, arg, err
}

// realDir returns dir as an absolute path without symbolic links, as the go
// command reports it.
func realDir(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

// listed is the part of "go list -json" that the build uses.
type listed struct {
	Dir, ImportPath, Name     string
	Standard                  bool
	Deps                      []string
	TestGoFiles, XTestGoFiles []string
	Error                     *struct{ Err string }
}

// find resolves a package pattern. Packages that cannot be loaded are in the
// result, with their error.
func (w *workspace) find(ctx context.Context, pattern string, flags []string) ([]*listed, error) {
	overlay, err := w.overlayFlag()
	if err != nil {
		return nil, err
	}
	args := append([]string{"list", "-e", "-find", "-json=Dir,ImportPath,Name,Standard,Error,TestGoFiles,XTestGoFiles", overlay}, flags...)
	out, err := goOutput(ctx, w.from, w.env, append(args, w.pattern(pattern))...)
	if err != nil {
		return nil, err
	}
	return decode(out)
}

// findOne resolves a pattern that must name one package without errors.
func (w *workspace) findOne(ctx context.Context, pattern string, flags []string) (*listed, error) {
	all, err := w.find(ctx, pattern, flags)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("%s names %d packages; name one", pattern, len(all))
	}
	return all[0], all[0].err()
}

// err returns what is wrong with the package, or nil.
func (p *listed) err() error {
	if p.Error == nil {
		return nil
	}
	return errors.New(p.Error.Err + advice(p.Error.Err))
}

// closure returns the import paths of the system's packages and of all that
// they import, in the build of target.
func (w *workspace) closure(ctx context.Context, flags []string, target string) (map[string]bool, error) {
	args := append([]string{"list", "-e", "-json=ImportPath,Deps"}, flags...)
	out, err := goOutput(ctx, w.from, w.env, append(args, target)...)
	if err != nil {
		return nil, err
	}
	all, err := decode(out)
	if err != nil {
		return nil, err
	}
	set := make(map[string]bool)
	for _, p := range all {
		if plainPath(p.ImportPath) != boardPath {
			continue
		}
		set[boardPath] = true
		for _, dep := range p.Deps {
			set[plainPath(dep)] = true
		}
	}
	if len(set) == 0 {
		return nil, fmt.Errorf("%s does not import %s: the overlay was not applied", target, boardPath)
	}
	return set, nil
}

// plainPath strips the variant that "go list -test" appends to an import path,
// as in "sort [sort.test]".
func plainPath(path string) string {
	plain, _, _ := strings.Cut(path, " ")
	return plain
}

// decode reads the concatenated JSON objects that "go list -json" prints.
func decode(out []byte) ([]*listed, error) {
	var all []*listed
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		p := new(listed)
		if err := d.Decode(p); err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, p)
	}
	return all, nil
}
