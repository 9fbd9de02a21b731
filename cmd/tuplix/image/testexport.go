package image

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// exporting are packages of the Go distribution whose tests are all in the
// external test package: their internal test files only export something to
// it, and cannot import package testing, which imports (nearly all of) these.
//
// Nearly everything depends on these packages, so the go command would compile
// nearly everything again for the tests of each. Instead these files are made
// ordinary ones, of all these packages together: what is compiled for the
// tests of one serves those of the others. Package time is not among them; its
// files choose the time zone of the whole program.
var exporting = []string{"bufio", "bytes", "context", "io", "os", "path/filepath", "sort", "sync"}

// shareExports makes the internal test files of the exporting packages
// ordinary ones, if p is among them.
func (w *workspace) shareExports(p TestPackage) error {
	if !p.Standard || !slices.Contains(exporting, p.ImportPath) {
		return nil
	}
	for _, path := range exporting {
		names, err := filepath.Glob(filepath.Join(w.goroot, "src", filepath.FromSlash(path), "*_test.go"))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := w.shareFile(name, "package "+path[strings.LastIndex(path, "/")+1:]); err != nil {
				return err
			}
		}
	}
	return nil
}

// shareFile makes a test file an ordinary one if it has the package clause.
func (w *workspace) shareFile(name, clause string) error {
	text, err := os.ReadFile(name)
	if err != nil || !slices.Contains(strings.Split(string(text), "\n"), clause) {
		return err
	}
	if strings.Contains(string(text), `"testing"`) {
		return fmt.Errorf("%s is not as this tool knows it (Go 1.26): its tests would not run", name)
	}
	dir, base := filepath.Split(name)
	// An empty name is a file that the go command does not see.
	w.overlay[name] = ""
	w.overlay[dir+"zz_"+strings.TrimSuffix(base, "_test.go")+".go"] = name
	return nil
}
