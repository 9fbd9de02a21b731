package qemu

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestScripts runs the scripts under testdata against the system itself. Image
// verbs in them name packages relative to the root of the module.
func TestScripts(t *testing.T) {
	needQEMU(t)
	scripts, err := filepath.Glob("testdata/*.script")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".script"), func(t *testing.T) {
			r := &Runner{Dir: t.TempDir(), Build: buildImage}
			if os.Getenv("QEMU_TEST_LOG") != "" {
				r.Log = os.Stderr
			}
			if err := r.Run(context.Background(), readScript(t, path)); err != nil {
				t.Error(err)
			}
		})
	}
}
