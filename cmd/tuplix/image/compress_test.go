package image

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A compressed image is what loaders accept: one segment to be loaded below
// 4 GiB, aligned as those built on rust-vmm want it, and the note, whose entry
// is in the segment.
func TestCompressed(t *testing.T) {
	useStandIn(t)
	path := filepath.Join(t.TempDir(), "image")
	if err := Build(context.Background(), Options{Dir: "testdata/early", Output: path}); err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Progs) != 2 || f.Progs[0].Type != elf.PT_LOAD || f.Progs[1].Type != elf.PT_NOTE {
		t.Fatalf("program headers: %v", f.Progs)
	}
	load := f.Progs[0]
	if load.Align != 2<<20 || load.Vaddr%load.Align != load.Off%load.Align || load.Filesz != load.Memsz || load.Paddr%4096 != 0 {
		t.Errorf("segment: %+v", load.ProgHeader)
	}
	if f.Entry < load.Vaddr || f.Entry >= load.Vaddr+load.Filesz {
		t.Errorf("entry %#x is outside of the segment", f.Entry)
	}
	got := make([]byte, f.Progs[1].Filesz)
	if _, err := f.Progs[1].ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}
	entry := binary.LittleEndian.Uint64(got[16:])
	if entry < load.Paddr || entry >= load.Paddr+load.Filesz || !slices.Equal(got, note(entry)) {
		t.Errorf("note: % x", got)
	}
	damage(t, path)
}

// damage makes the first chunk longer than its bytes: the image must say so.
func damage(t *testing.T, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint32(data[packedOffset:])
	binary.LittleEndian.PutUint32(data[packedOffset:], n+1)
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "damaged") {
		t.Errorf("%v: %q", err, out)
	}
}
