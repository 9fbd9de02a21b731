package image

import (
	"os/exec"
	"testing"
)

// TestQuickenCastagnoli has the package's own tests compare the tables with its plain
// algorithm.
func TestQuickenCastagnoli(t *testing.T) {
	goroot, err := GOROOT(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := &workspace{goroot: goroot, dir: t.TempDir(), overlay: make(map[string]string)}
	if err := w.quickenCastagnoli(); err != nil {
		t.Fatal(err)
	}
	if len(w.overlay) != 1 {
		t.Fatalf("hash/crc32 of %s is not as this tool knows it", goroot)
	}
	overlay, err := w.overlayFlag()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", overlay, "hash/crc32")
	cmd.Dir = goroot
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
