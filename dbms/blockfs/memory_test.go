package blockfs

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev"
)

// TestMemory bounds what an open volume takes: little at all, and little per file.
func TestMemory(t *testing.T) {
	const files = 5000
	dev := blockdev.NewMemory(4<<30, 512)
	fs, err := Open(dev, Options{FormatBlank: true})
	must(t, err)
	for i := range files {
		f, err := fs.Create(fmt.Sprintf("%06d.sst", i), unspecified)
		must(t, err)
		_, err = f.Write(pattern(i, 100))
		must(t, err)
		must(t, f.Close())
	}
	must(t, fs.Close())
	fs = nil
	before := heap()
	fs, err = Open(dev, Options{})
	must(t, err)
	used := heap() - before
	t.Logf("%d bytes per file", used/files)
	if used > files*700+64<<10 {
		t.Errorf("%d bytes for %d files", used, files)
	}
	must(t, fs.Close())
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
