package image

import (
	"context"
	"path/filepath"
	"strings"
)

// TestPackage is a package whose tests can be made into an image.
type TestPackage struct {
	ImportPath string
	Dir        string // absolute
	HasTests   bool   // there are test files
	Standard   bool   // a package of the Go distribution
	Err        error  // why the package cannot be loaded, or nil

	name string // of the package clause
	from string // where the pattern was given
}

// ListTests finds the packages that a pattern names: an import path, a
// directory, or one of these followed by "/...". A plain word such as sync is a
// package of the Go distribution if there is one of that name.
func ListTests(ctx context.Context, o Options, pattern string) ([]TestPackage, error) {
	root, err := Root(ctx)
	if err != nil {
		return nil, err
	}
	from, pattern, err := locateTest(pattern)
	if err != nil {
		return nil, err
	}
	w, err := openWorkspace(ctx, root, from)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	all, err := w.find(ctx, pattern, o.flags())
	if err != nil {
		return nil, err
	}
	var packages []TestPackage
	for _, p := range all {
		packages = append(packages, TestPackage{
			ImportPath: p.ImportPath,
			Dir:        p.Dir,
			HasTests:   len(p.TestGoFiles)+len(p.XTestGoFiles) > 0,
			Standard:   p.Standard,
			Err:        p.err(),
			name:       p.Name,
			from:       from,
		})
	}
	return packages, nil
}

// locateTest is locate with the go command's rule for patterns: a directory is
// one that starts with a dot or a slash.
func locateTest(pattern string) (from, resolved string, err error) {
	if pattern == "." || pattern == ".." || filepath.IsAbs(pattern) || strings.HasPrefix(pattern, "./") || strings.HasPrefix(pattern, "../") {
		return locate(pattern)
	}
	from, err = realDir(".")
	return from, pattern, err
}

// BuildTest makes an image of the tests of p, as "go test -c" makes a program
// of them. The system is imported by a file that is added to the external test
// package: there it may be imported even by tests of packages that the system
// itself is built on. Those packages are then compiled a second time, with
// their tests, and so is everything that depends on them; the go command's
// cache remembers the result.
func BuildTest(ctx context.Context, o Options, p TestPackage) error {
	if p.Err != nil {
		return p.Err
	}
	root, err := Root(ctx)
	if err != nil {
		return err
	}
	if p.Standard && p.ImportPath == "time" {
		// Its tests load a time zone while packages are initialised, and this
		// one is initialised before there can be a file service.
		o.Tags = strings.TrimPrefix(o.Tags+",timetzdata", ",")
	}
	w, err := openWorkspace(ctx, root, p.from)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.shareExports(p); err != nil {
		return err
	}
	if err := w.inject(p.Dir, p.name+"_test", "zz_tuplix", "_test.go"); err != nil {
		return err
	}
	raw := filepath.Join(w.dir, "linked.test")
	args := append([]string{"test", "-c", "-vet=off", "-o", raw}, o.linkFlags()...)
	return w.produce(ctx, o, args, []string{"-deps", "-test"}, p.ImportPath, raw)
}
