package file

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// BenchmarkCreate4K creates a file, writes 4 KiB and syncs it.
func BenchmarkCreate4K(b *testing.B) {
	fs := must[*FS](b)(Open(vfs.NewMem(), "db", Options{}))
	defer closeChecked(b, fs)
	data := make([]byte, 4096)
	for i := 0; b.Loop(); i++ {
		f := create(b, fs.Root(), fmt.Sprint(i))
		must[int](b)(f.WriteAt(data, 0))
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRead4K finds a file and reads its 4 KiB.
func BenchmarkRead4K(b *testing.B) {
	fs := must[*FS](b)(Open(vfs.NewMem(), "db", Options{}))
	defer closeChecked(b, fs)
	data := make([]byte, 4096)
	must[int](b)(create(b, fs.Root(), "file").WriteAt(data, 0))
	b.ReportAllocs()
	for b.Loop() {
		f := must[*Inode](b)(fs.Root().Lookup("file"))
		must[int](b)(f.ReadAt(data, 0))
	}
}

// BenchmarkWrite shows what sizes of writes cost: appends of a log, random
// writes of a database, and bulk.
func BenchmarkWrite(b *testing.B) {
	const span = 16 << 20
	for _, size := range []int{100, 4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			fs := must[*FS](b)(Open(vfs.NewMem(), "db", Options{}))
			defer closeChecked(b, fs)
			f := create(b, fs.Root(), "file")
			data := make([]byte, size)
			b.SetBytes(int64(size))
			for at := int64(0); b.Loop(); at = (at + int64(size)) % span {
				must[int](b)(f.WriteAt(data, at))
			}
		})
	}
}

// BenchmarkReadSequential reads a file that lies in tables.
func BenchmarkReadSequential(b *testing.B) {
	fs := must[*FS](b)(Open(vfs.NewMem(), "db", Options{}))
	defer closeChecked(b, fs)
	f := create(b, fs.Root(), "file")
	data := make([]byte, 64<<10)
	const span = 32 << 20
	for at := int64(0); at < span; at += int64(len(data)) {
		must[int](b)(f.WriteAt(data, at))
	}
	if err := fs.db.Flush(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for at := int64(0); b.Loop(); at = (at + int64(len(data))) % span {
		must[int](b)(f.ReadAt(data, at))
	}
}
