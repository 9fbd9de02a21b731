package blockfs

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev"
)

func TestForeignDeviceIsLeftAlone(t *testing.T) {
	for _, off := range []int64{0, 510, 1080, 65536 + 64, 1<<20 - 1, 16<<20 - 512, 15 << 20} {
		dev := blockdev.NewMemory(16<<20, 512)
		sector := make([]byte, 512)
		sector[off%512] = 1
		_, err := dev.WriteAt(sector, off-off%512)
		must(t, err)
		before := content(t, dev)
		_, err = Open(dev, Options{FormatBlank: true})
		if !errors.Is(err, ErrForeign) {
			t.Errorf("mark at %d: open: %v", off, err)
		}
		if err := Format(dev, FormatOptions{}); !errors.Is(err, ErrForeign) {
			t.Errorf("mark at %d: format: %v", off, err)
		}
		if content(t, dev) != before {
			t.Errorf("mark at %d: the device was changed", off)
		}
		must(t, Format(dev, FormatOptions{Force: true}))
		fs, err := Open(dev, Options{})
		must(t, err)
		checkAll(t, dev, fs)
	}
}

func content(t *testing.T, dev Device) string {
	t.Helper()
	var b strings.Builder
	_, err := io.Copy(&b, io.NewSectionReader(dev, 0, dev.Size()))
	must(t, err)
	return b.String()
}

func TestFormatRefusals(t *testing.T) {
	dev := blockdev.NewMemory(8<<20, 512)
	if _, err := Open(dev, Options{}); !errors.Is(err, ErrBlank) {
		t.Errorf("blank: %v", err)
	}
	must(t, Format(dev, FormatOptions{}))
	if err := Format(dev, FormatOptions{}); err == nil || !strings.Contains(err.Error(), "Force") {
		t.Errorf("second format: %v", err)
	}
	if err := Format(blockdev.NewMemory(2<<20, 512), FormatOptions{}); err == nil {
		t.Error("a device of 2 MiB was formatted")
	}
	if err := Format(blockdev.NewMemory(8<<20, 8192), FormatOptions{}); err == nil {
		t.Error("sectors of 8 KiB were accepted")
	}
}

// TestReformat: nothing of the old volume shows up in the new one, though both
// were at the same generation when closed.
func TestReformat(t *testing.T) {
	dev := blockdev.NewMemory(8<<20, 512)
	for range 3 {
		must(t, Format(dev, FormatOptions{Force: true}))
		fs, err := Open(dev, Options{})
		must(t, err)
		if names, err := fs.List("/"); err != nil || len(names) != 0 {
			t.Fatalf("names %q, %v", names, err)
		}
		writeFile(t, fs, "f", pattern(1, 5000))
		checkAll(t, dev, fs)
	}
}

func TestSuperblockCopies(t *testing.T) {
	for _, off := range []int64{0, superblockCopy} {
		dev, fs := formatted(t, 8<<20, 512)
		writeFile(t, fs, "f", pattern(1, 5000))
		must(t, fs.Close())
		_, err := dev.WriteAt(make([]byte, 512), off)
		must(t, err)
		r, err := Check(dev)
		must(t, err)
		if len(r.Warnings) != 1 {
			t.Errorf("warnings %q", r.Warnings)
		}
		again, err := Open(dev, Options{})
		must(t, err)
		must(t, again.Close())
	}
}

func TestSectorSizeChanges(t *testing.T) {
	dev := blockdev.NewMemory(8<<20, 512)
	must(t, Format(dev, FormatOptions{}))
	if _, err := Open(sectors{dev, 4096}, Options{}); !errors.Is(err, ErrDevice) {
		t.Errorf("larger sectors: %v", err)
	}
	dev = blockdev.NewMemory(8<<20, 512)
	must(t, Format(sectors{dev, 4096}, FormatOptions{}))
	fs, err := Open(dev, Options{})
	must(t, err)
	writeFile(t, fs, "f", pattern(1, 100))
	checkAll(t, dev, fs)
}

// sectors presents a device with another sector size.
type sectors struct {
	*blockdev.Memory
	size int
}

func (s sectors) SectorSize() int { return s.size }
