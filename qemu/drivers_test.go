package qemu

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/blockfs"
)

// TestForeignDisk boots with a disk that holds something else: it is refused, with
// a word on how to force it, and not a byte of it changed; forced, it is used.
func TestForeignDisk(t *testing.T) {
	for name, fill := range map[string]func(t *testing.T, path string){
		"ext4": makeExt4,
		"random": func(t *testing.T, path string) {
			overwriteFile(t, path, rand.NewChaCha8([32]byte{1}), 8<<20)
		},
		"last-sector": func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte("a backup partition table"), 64<<20-512); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{Disk: blankDisk(t, 64)}
			fill(t, config.Disk.Path)
			before := digest(t, config.Disk.Path)
			g := bootDisk(t, config, "fill", "1", "4")
			g.expect(t, "foreign data.*format=force")
			if status := g.status(t); status == 0 {
				t.Error("exit status 0")
			}
			if digest(t, config.Disk.Path) != before {
				t.Error("the disk was changed")
			}
			config.Line.Set("format", "force")
			if status := bootDisk(t, config, "fill", "1", "4").status(t); status != 0 {
				t.Fatalf("exit status %d with format=force", status)
			}
			config.Line.Set("format", "")
			if status := bootDisk(t, config, "read", "1", "4").status(t); status != 0 {
				t.Errorf("exit status %d once it is formatted", status)
			}
		})
	}
}

func makeExt4(t *testing.T, path string) {
	t.Helper()
	mkfs, err := exec.LookPath("mkfs.ext4")
	if err != nil {
		if mkfs, err = exec.LookPath("/sbin/mkfs.ext4"); err != nil {
			t.Skip("mkfs.ext4 (package e2fsprogs) is not here: an ext4 disk that must be refused cannot be made")
		}
	}
	if out, err := exec.Command(mkfs, "-q", "-F", path).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
}

// overwriteFile writes n bytes from r over the start of a file.
func overwriteFile(t *testing.T, path string, r io.Reader, n int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.CopyN(f, r, n); err != nil {
		t.Fatal(err)
	}
}

func digest(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// TestDamagedDisk boots with a volume whose metadata is damaged: it is refused and
// left as it is.
func TestDamagedDisk(t *testing.T) {
	config := Config{Disk: blankDisk(t, 64)}
	if status := bootDisk(t, config, "fill", "1", "4").status(t); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	overwriteFile(t, config.Disk.Path, bytes.NewReader(bytes.Repeat([]byte("damage"), 1<<20)), 3<<20)
	before := digest(t, config.Disk.Path)
	g := bootDisk(t, config, "fill", "1", "4")
	g.expect(t, "tuplix: .*blockfs")
	if status := g.status(t); status == 0 {
		t.Error("exit status 0")
	}
	if digest(t, config.Disk.Path) != before {
		t.Error("the disk was changed")
	}
}

// TestLargeSectors has a disk with sectors of 4096 bytes.
func TestLargeSectors(t *testing.T) {
	config := Config{Disk: blankDisk(t, 64)}
	config.Disk.Sector = 4096
	for _, mode := range []string{"fill", "read"} {
		g := bootDisk(t, config, mode, "8", "300")
		if status := g.status(t); status != 0 {
			t.Fatalf("%s: exit status %d", mode, status)
		}
		if mode == "read" {
			g.expect(t, "^0 of 16 failed")
		}
	}
	dev, err := readImage(config.Disk.Path, 4096)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := examine(dev, 0); err != nil {
		t.Error(err)
	}
	if small, err := readImage(config.Disk.Path, 512); err != nil {
		t.Error(err)
	} else if _, err := blockfs.Check(small); err != nil {
		t.Errorf("with smaller sectors: %v", err)
	}
}

// TestDiscard sees the image give space back to the host when a guest removes what
// filled its disk, but for the quarter of the disk that the past may take.
func TestDiscard(t *testing.T) {
	config := Config{Disk: blankDisk(t, 64)}
	config.Disk.Path = filepath.Join(t.TempDir(), "sparse.img")
	if err := os.WriteFile(config.Disk.Path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(config.Disk.Path, 64<<20); err != nil {
		t.Fatal(err)
	}
	g := bootDisk(t, config, "remove", "32", "1024")
	g.expect(t, "^filled")
	full := allocated(t, config.Disk.Path)
	g.say(t, "remove")
	g.expect(t, "^removed")
	deadline := time.Now().Add(patience)
	for allocated(t, config.Disk.Path) > full-12<<20 {
		if time.Now().After(deadline) {
			t.Fatalf("of %d bytes %d are still allocated", full, allocated(t, config.Disk.Path))
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("%d MiB allocated, then %d MiB", full>>20, allocated(t, config.Disk.Path)>>20)
	g.say(t, "end")
	if status := g.status(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// allocated returns how many bytes a file takes on the host.
func allocated(t *testing.T, path string) int64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Blocks * 512
}

// TestEntropy reads from virtio-rng, over PCI and MMIO.
func TestEntropy(t *testing.T) {
	for _, machine := range []string{Q35, MicroVM} {
		config := Config{Machine: machine}
		config.Line.Set("entropy", "none") // the program opens the device itself
		if status := bootDisk(t, config, "random", "4096").status(t); status != 0 {
			t.Errorf("%s: exit status %d", machine, status)
		}
	}
}
