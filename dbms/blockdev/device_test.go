package blockdev

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
)

// device is what both devices are tested as.
type device interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	Flush() error
	Discard(off, n int64) error
	Size() int64
	SectorSize() int
}

func TestDevices(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	file, err := OpenFile(path, 1<<20, 4096)
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]device{"memory": NewMemory(1<<20, 4096), "file": file} {
		t.Run(name, func(t *testing.T) { testDevice(t, d) })
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	file, err = OpenFile(path, 0, 4096)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4096)
	if _, err := file.ReadAt(got, 8192); err != nil || !bytes.Equal(got, bytes.Repeat([]byte{3}, 4096)) {
		t.Fatalf("after opening again: %v", err)
	}
	if _, err := OpenFile(path, 0, 4096); err == nil {
		t.Error("opened twice")
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

func testDevice(t *testing.T, d device) {
	if d.Size() != 1<<20 || d.SectorSize() != 4096 {
		t.Fatalf("size %d, sectors of %d", d.Size(), d.SectorSize())
	}
	got := bytes.Repeat([]byte{9}, 8192)
	if n, err := d.ReadAt(got, 4096); n != 8192 || err != nil || !bytes.Equal(got, make([]byte, 8192)) {
		t.Fatalf("blank device: %d, %v", n, err)
	}
	data := bytes.Repeat([]byte{3}, 128<<10)
	if n, err := d.WriteAt(data, 8192); n != len(data) || err != nil {
		t.Fatal(n, err)
	}
	got = make([]byte, len(data))
	if _, err := d.ReadAt(got, 8192); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("read back: %v", err)
	}
	if err := errors.Join(d.Flush(), d.Discard(64<<10, 64<<10)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ off, n int64 }{{1, 4096}, {0, 100}, {1 << 20, 4096}, {-4096, 4096}, {1<<20 - 4096, 8192}} {
		p := make([]byte, c.n)
		_, read := d.ReadAt(p, c.off)
		_, write := d.WriteAt(p, c.off)
		for _, err := range []error{read, write, d.Discard(c.off, c.n)} {
			if !errors.Is(err, ErrRange) {
				t.Errorf("%d bytes at %d: %v", c.n, c.off, err)
			}
		}
	}
}

func TestMemoryGivesBack(t *testing.T) {
	m := NewMemory(1<<30, 512)
	if _, err := m.WriteAt(make([]byte, 1<<20), 512<<20); err != nil {
		t.Fatal(err)
	}
	c := m.Clone()
	if err := m.Discard(0, 1<<30); err != nil {
		t.Fatal(err)
	}
	if len(m.pages) != 0 || len(c.pages) != 16 {
		t.Errorf("%d and %d pages", len(m.pages), len(c.pages))
	}
}
