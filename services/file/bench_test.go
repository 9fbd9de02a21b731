package file

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// BenchmarkCreate4K creates a file, writes 4 KiB and syncs it.
func BenchmarkCreate4K(b *testing.B) {
	fs := must[*FS](b)(mount(vfs.NewMem(), Options{}))
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

// cpu is the processor time of this process.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkTransactions holds calls that become one transaction together against a
// transaction for each: creating a file, and writing 4 KiB. Times are of the processor,
// background work included.
func BenchmarkTransactions(b *testing.B) {
	for _, how := range []struct {
		name string
		each bool
	}{{"together", false}, {"each", true}} {
		settle := func(fs *FS) {
			if how.each {
				must[any](b)(nil, fs.flush())
			}
		}
		b.Run("create/"+how.name, func(b *testing.B) {
			fs := open(b, Options{})
			begun := cpu(b)
			for i := 0; b.Loop(); i++ {
				create(b, fs.Root(), fmt.Sprint(i))
				settle(fs)
			}
			must[any](b)(nil, fs.Sync())
			b.ReportMetric(float64(cpu(b)-begun)/float64(b.N), "cpu-ns/op")
		})
		b.Run("write/"+how.name, func(b *testing.B) {
			fs := open(b, Options{})
			f, data := create(b, fs.Root(), "file"), make([]byte, 4096)
			begun := cpu(b)
			for i := 0; b.Loop(); i++ {
				must[int](b)(f.WriteAt(data, int64(i%4096)*4096))
				settle(fs)
			}
			must[any](b)(nil, fs.Sync())
			b.ReportMetric(float64(cpu(b)-begun)/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkRead4K finds a file and reads its 4 KiB.
func BenchmarkRead4K(b *testing.B) {
	fs := must[*FS](b)(mount(vfs.NewMem(), Options{}))
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
			fs := must[*FS](b)(mount(vfs.NewMem(), Options{}))
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
	fs := must[*FS](b)(mount(vfs.NewMem(), Options{}))
	defer closeChecked(b, fs)
	f := create(b, fs.Root(), "file")
	data := make([]byte, 64<<10)
	const span = 32 << 20
	for at := int64(0); at < span; at += int64(len(data)) {
		must[int](b)(f.WriteAt(data, at))
	}
	if err := fs.flush(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for at := int64(0); b.Loop(); at = (at + int64(len(data))) % span {
		must[int](b)(f.ReadAt(data, at))
	}
}
