package image

import (
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
		clause := "package " + path[strings.LastIndex(path, "/")+1:]
		names, err := filepath.Glob(filepath.Join(w.goroot, "src", filepath.FromSlash(path), "*_test.go"))
		if err != nil {
			return err
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			if slices.Contains(strings.Split(string(text), "\n"), clause) {
				dir, base := filepath.Split(name)
				// An empty name is a file that the go command does not see.
				w.overlay[name] = ""
				w.overlay[dir+"zz_"+strings.TrimSuffix(base, "_test.go")+".go"] = name
			}
		}
	}
	return nil
}
