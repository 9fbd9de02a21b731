package blockfs

import (
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tuplix/tuplix/dbms/blockdev"
)

const unspecified = vfs.WriteCategoryUnspecified

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// formatted makes a volume in memory and opens it; it is checked at the end.
func formatted(t testing.TB, size int64, sector int) (*blockdev.Memory, *FS) {
	t.Helper()
	dev := blockdev.NewMemory(size, sector)
	fs, err := Open(dev, Options{FormatBlank: true})
	must(t, err)
	t.Cleanup(func() { checkAll(t, dev, fs) })
	return dev, fs
}

// checkAll proves the volume sound, in memory and on the device.
func checkAll(t testing.TB, dev Device, fs *FS) {
	t.Helper()
	must(t, fs.Close())
	must(t, fs.audit())
	_, err := Check(dev)
	must(t, err)
}

// reopen closes the volume and opens it again.
func reopen(t testing.TB, dev Device, fs *FS) *FS {
	t.Helper()
	must(t, fs.Close())
	again, err := Open(dev, Options{})
	must(t, err)
	return again
}

func writeFile(t testing.TB, fs vfs.FS, name string, data []byte) {
	t.Helper()
	f, err := fs.Create(name, unspecified)
	must(t, err)
	_, err = f.Write(data)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

func readFile(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	must(t, err)
	data, err := io.ReadAll(f)
	must(t, err)
	must(t, f.Close())
	return data
}

// pattern gives n bytes that tell their seed and position.
func pattern(seed, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(seed*131+i*7+i>>8) | 1
	}
	return p
}

// isFull tells whether err is a full volume.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) }
