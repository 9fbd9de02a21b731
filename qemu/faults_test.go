package qemu

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/tuplix/tuplix/qemu/internal/workload"
	"github.com/tuplix/tuplix/services/file"
)

// fault makes requests fail with EIO after some that succeed.
func fault(op string, after int, once bool) Fault {
	return Fault{Op: op, Errno: int(syscall.EIO), Sector: -1, After: after, Once: once}
}

// TestFaults makes the disk fail under a program that changes files: it must see
// EIO, read nothing wrong afterwards, and after a reboot with a good disk have
// what was acknowledged.
func TestFaults(t *testing.T) {
	const workers = 2
	for _, test := range []struct {
		name  string
		fault Fault
	}{
		{"write", fault("write", 120, false)},
		{"write-once", fault("write", 120, true)},
		{"flush", fault("flush", 80, false)},
		{"flush-once", fault("flush", 80, true)},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := Config{Disk: blankDisk(t, 64)}
			config.Disk.Faults = []Fault{test.fault}
			g := bootDisk(t, config, "work", "11", itoa(workers), "2000", "0")
			g.expect(t, "^begin")
			g.expect(t, "^failed EIO")
			g.expect(t, `^intact 0`)
			g.expect(t, `^intact 1`)
			g.expect(t, "^(writing goes on|failed EIO)")
			g.status(t)
			saysSo(t, g)

			dev, err := readImage(config.Disk.Path, 512)
			if err != nil {
				t.Fatal(err)
			}
			trees, err := examine(dev, workers)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := match(timelines(11, workers), trees, g.acknowledged(workers), 1); err != nil {
				t.Fatal(err)
			}
			config.Disk.Faults = nil
			g = bootDisk(t, config, "work", "12", itoa(workers), "5", "0")
			if got := g.expect(t, `^found (\w+)\r?\n`)[1]; got != workload.Digest(trees) {
				t.Error("the guest finds other files than the host")
			}
			if status := g.status(t); status != 0 {
				t.Errorf("exit status %d with a good disk", status)
			}
		})
	}
}

// saysSo looks for a message of the system's own about the error, besides what
// the program prints.
func saysSo(t *testing.T, g guest) {
	t.Helper()
	if !regexp.MustCompile(`(?im)^\[[^\n]*(i/o error|input/output error|device reports an error)`).MatchString(g.Text()) {
		t.Error("the system's log has no word of the error")
	}
}

// TestReadFaults has a file on bad sectors: reading it fails, also once more, and
// all the others are right. A sector that fails once costs no more than one read.
func TestReadFaults(t *testing.T) {
	const files, kib, victim = 24, 512, 5
	config := Config{Disk: blankDisk(t, 64), Memory: 64}
	if status := bootDisk(t, config, "fill", itoa(files), itoa(kib)).status(t); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	sectors := findContent(t, config.Disk.Path, "pattern"+itoa(victim))
	for _, once := range []bool{false, true} {
		config.Disk.Faults = nil
		for _, sector := range sectors {
			f := fault("read", 0, once)
			f.Sector = sector
			config.Disk.Faults = append(config.Disk.Faults, f)
		}
		g := bootDisk(t, config, "read", itoa(files), itoa(kib))
		failed := atoi(g.expect(t, `^(\d+) of \d+ failed`)[1])
		if status := g.status(t); status != 0 {
			t.Errorf("exit status %d", status)
		}
		if !once && failed != 2 || failed > 2 {
			t.Errorf("once %v: %d reads failed", once, failed)
		}
		if said := strings.Count(g.Text(), "reading EIO: read /pattern5: input/output error"); said != failed {
			t.Errorf("%d reads failed, %d of them with EIO", failed, said)
		}
		if failed > 0 {
			saysSo(t, g)
		}
	}
}

// findContent returns the sectors of an image that hold a piece from the middle
// of a file: in a table, perhaps in a log too.
func findContent(t *testing.T, path, name string) (sectors []int64) {
	t.Helper()
	dev, err := readImage(path, 512)
	if err != nil {
		t.Fatal(err)
	}
	var content string
	if err := withFiles(dev, func(files *file.FS) error {
		tree, err := readTree(files)
		content = tree[name]
		return err
	}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	piece := []byte(content[len(content)/2:][:64])
	for at := 0; ; at++ {
		i := bytes.Index(raw[at:], piece)
		if i < 0 {
			break
		}
		at += i
		sectors = append(sectors, int64(at/512))
	}
	if len(sectors) == 0 {
		t.Fatalf("the content of %s is not on the disk", name)
	}
	return sectors
}

// TestDeadDisk boots with a disk that fails from the start: the machine refuses
// and says why.
func TestDeadDisk(t *testing.T) {
	for _, op := range []string{"read", "write", "flush"} {
		t.Run(op, func(t *testing.T) {
			config := Config{Disk: blankDisk(t, 64)}
			config.Disk.Faults = []Fault{fault(op, 0, false)}
			g := bootDisk(t, config, "fill", "1", "1")
			g.expect(t, "(?i)tuplix: .*(i/o error|input/output error)")
			if status := g.status(t); status == 0 {
				t.Error("exit status 0")
			}
			if strings.Contains(g.Text(), "done") {
				t.Error("the program was run")
			}
		})
	}
}

// TestFull fills a disk: the writer gets ENOSPC, everything there stays readable,
// and the space of what is removed can be used again. So it is for the next boot.
func TestFull(t *testing.T) {
	config := Config{Disk: blankDisk(t, 48)}
	for range 2 {
		g := bootDisk(t, config, "full", "1024")
		g.expect(t, "^full after [0-9]+ files: ENOSPC")
		g.expect(t, "^all there")
		g.expect(t, "^recovered")
		g.expect(t, "^all there")
		if status := g.status(t); status != 0 {
			t.Errorf("exit status %d", status)
		}
		dev, err := readImage(config.Disk.Path, 512)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := examine(dev, 0); err != nil {
			t.Fatal(err)
		}
	}
}
