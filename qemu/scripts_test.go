package qemu

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/cmd/tuplix/image"
)

// TestScripts runs the scripts under testdata against the system itself. Image
// verbs in them name packages relative to the root of the module.
func TestScripts(t *testing.T) {
	needQEMU(t)
	scripts, err := filepath.Glob("testdata/*.script")
	if err != nil {
		t.Fatal(err)
	}
	images := t.TempDir()
	built := make(map[string]string)
	build := func(pkg string) (string, error) {
		if path, ok := built[pkg]; ok {
			return path, nil
		}
		path := filepath.Join(images, fmt.Sprintf("%d.elf", len(built)))
		err := image.Build(context.Background(), image.Options{Dir: filepath.Join("..", pkg), Output: path})
		if err == nil {
			built[pkg] = path
		}
		return path, err
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".script"), func(t *testing.T) {
			r := &Runner{Dir: t.TempDir(), Build: build}
			if os.Getenv("QEMU_TEST_LOG") != "" {
				r.Log = os.Stderr
			}
			if err := r.Run(context.Background(), readScript(t, path)); err != nil {
				t.Error(err)
			}
		})
	}
}
