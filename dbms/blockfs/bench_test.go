package blockfs

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tuplix/tuplix/dbms/blockdev"
)

// onBoth runs a benchmark on a volume in a file of the host, and on the host's
// own file system beside it.
func onBoth(b *testing.B, run func(b *testing.B, opts *pebble.Options, dir string)) {
	b.Run("blockfs", func(b *testing.B) {
		dev, err := blockdev.OpenFile(filepath.Join(b.TempDir(), "disk"), 2<<30, 512)
		must(b, err)
		fs, err := Open(dev, Options{FormatBlank: true})
		must(b, err)
		run(b, pebbleOptions(fs), "db")
		must(b, fs.Close())
		must(b, dev.Close())
	})
	b.Run("host", func(b *testing.B) {
		run(b, &pebble.Options{FS: vfs.Default, Logger: quiet{}}, b.TempDir())
	})
}

// BenchmarkSyncedCommit measures one synced Set after the other.
func BenchmarkSyncedCommit(b *testing.B) {
	onBoth(b, func(b *testing.B, opts *pebble.Options, dir string) {
		db, err := pebble.Open(dir, opts)
		must(b, err)
		value := pattern(1, 200)
		for i := 0; b.Loop(); i++ {
			must(b, db.Set(fmt.Appendf(nil, "key%d", i), value, pebble.Sync))
		}
		must(b, db.Close())
	})
}

// BenchmarkLoad measures unsynced sets, with the flushes and compactions they
// cause, in bytes of values.
func BenchmarkLoad(b *testing.B) {
	onBoth(b, func(b *testing.B, opts *pebble.Options, dir string) {
		db, err := pebble.Open(dir, opts)
		must(b, err)
		value := pattern(1, 1000)
		b.SetBytes(int64(len(value)))
		for i := 0; b.Loop(); i++ {
			must(b, db.Set(fmt.Appendf(nil, "key%08d", i*7919%1000003), value, pebble.NoSync))
		}
		must(b, db.Close())
	})
}

// BenchmarkScan measures reading a database of 100 MB from end to end, from the
// disk: the block cache is small.
func BenchmarkScan(b *testing.B) {
	onBoth(b, func(b *testing.B, opts *pebble.Options, dir string) {
		opts.Cache = pebble.NewCache(1 << 20)
		defer opts.Cache.Unref()
		db, err := pebble.Open(dir, opts)
		must(b, err)
		for i := range 100000 {
			must(b, db.Set(fmt.Appendf(nil, "key%08d", i), pattern(i, 1000), pebble.NoSync))
		}
		must(b, db.Flush())
		b.SetBytes(100 << 20)
		for b.Loop() {
			it, err := db.NewIter(nil)
			must(b, err)
			for it.First(); it.Valid(); it.Next() {
			}
			must(b, it.Close())
		}
		must(b, db.Close())
	})
}
