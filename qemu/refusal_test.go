package qemu

import (
	"os"
	"testing"
)

// TestUnsuitableDisk boots with disks that are too small, or smaller than when they
// were made: each is refused with a word on what to do.
func TestUnsuitableDisk(t *testing.T) {
	small := bootDisk(t, Config{Disk: blankDisk(t, 8)}, "fill", "1", "4")
	small.expect(t, "too few, at least .* needed; attach ")
	if status := small.status(t); status == 0 {
		t.Error("exit status 0 with a disk of 8 MiB")
	}
	config := Config{Disk: blankDisk(t, 64)}
	if status := bootDisk(t, config, "fill", "1", "4").status(t); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	if err := os.Truncate(config.Disk.Path, 32<<20); err != nil {
		t.Fatal(err)
	}
	before := digest(t, config.Disk.Path)
	g := bootDisk(t, config, "fill", "1", "4")
	g.expect(t, "it has shrunk; attach the disk as it was")
	if status := g.status(t); status == 0 {
		t.Error("exit status 0 with a disk that has shrunk")
	}
	if digest(t, config.Disk.Path) != before {
		t.Error("the disk was changed")
	}
}
