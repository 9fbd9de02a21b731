package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/services/file"
)

const (
	manyFiles    = 100_000
	someFiles    = 10_000
	fewFiles     = 1000
	changedFiles = 10
	apart        = 2 * time.Millisecond // of a moment and what changes before and after it
)

// fileContests are the figures of package file that Linux has nothing for.
func fileContests() []contest {
	return []contest{
		{spec{"restore of a directory, 100,000 files", "ms", lower, 2}, "1,000 files", restoredTree("/dir", manyFiles, changedFiles), restoredTree("/dir", fewFiles, changedFiles), true},
		{spec{"restore of all files, 100,000", "ms", lower, 2}, "1,000 files", restoredTree("/", manyFiles, changedFiles), restoredTree("/", fewFiles, changedFiles), true},
		{spec{"restore of a directory, all files changed", "ms", lower, record}, "10 changed", restoredTree("/dir", someFiles, someFiles), restoredTree("/dir", someFiles, changedFiles), true},
	}
}

// restoredTree measures, in milliseconds, how long a path takes to be as it was before some
// of the files in a directory, evenly spread, were written. They have lain there for a
// while, and are in memory.
func restoredTree(path string, files, changed int) measurement {
	return func(ctx context.Context) (ms float64, err error) {
		st, fs, err := file.OpenVolume(ctx, vfs.NewMem(), store.Options{Options: embedded.Options{Memory: storeMemory}}, file.Options{Memory: storeMemory / 4}, file.Tables()...)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, fs.Close(), st.Close()) }()
		if err := errors.Join(plantTree(fs, files), fs.Sync(), st.Engine().(*embedded.Engine).Compact(ctx)); err != nil {
			return 0, err
		}
		moment, err := changeTree(fs, files, changed)
		if err != nil {
			return 0, err
		}
		begun := time.Now()
		done, err := fs.Restore(ctx, op("restore"), path, moment)
		took := time.Since(begun)
		if err == nil && path != "/" && done.Inodes != changed { // of all files it is not known
			err = fmt.Errorf("restored %+v", done)
		}
		return microseconds(took) / 1e3, err
	}
}

func plantTree(fs *file.FS, files int) error {
	dir, err := fs.Root().Create("dir", file.New{Mode: syscall.S_IFDIR | 0o755})
	for i := 0; i < files && err == nil; i++ {
		_, err = dir.Create(fmt.Sprint(i), file.New{Mode: syscall.S_IFREG | 0o644})
	}
	return err
}

// changeTree returns a moment before the changes.
func changeTree(fs *file.FS, files, changed int) (time.Time, error) {
	moment := time.Now()
	time.Sleep(apart)
	dir, err := fs.Root().Lookup("dir")
	for i := 0; i < changed && err == nil; i++ {
		var f *file.Inode
		if f, err = dir.Lookup(fmt.Sprint(i * files / changed)); err == nil {
			_, err = f.WriteAt([]byte("changed"), 0)
		}
	}
	return moment, err
}
