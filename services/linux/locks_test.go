package linux

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	tables "github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/file"
)

// TestLockRows sees that os.locks follows the locks of files, and that those of a machine
// that went down are gone when it comes back.
func TestLockRows(t *testing.T) {
	disk := vfs.NewCrashableMem()
	files, st := filesOn(t, disk)
	s := newSystem(t, func(c *Config) { c.Files = files })
	a := s.open("/tmp/a", unix.O_CREAT|unix.O_RDWR, 0o644)
	b := s.open("/tmp/a", unix.O_RDWR, 0)
	s.must(unix.SYS_FLOCK, a, unix.LOCK_SH)
	s.must(unix.SYS_FLOCK, b, unix.LOCK_SH)
	s.must(unix.SYS_FCNTL, a, unix.F_OFD_SETLK, unsafe.Pointer(&unix.Flock_t{Type: unix.F_WRLCK, Start: 10, Len: 10}))
	s.must(unix.SYS_FCNTL, b, unix.F_SETLK, unsafe.Pointer(&unix.Flock_t{Type: unix.F_RDLCK, Start: 30}))
	waitLocks(t, st, "flock 0-9223372036854775807 shared, flock 0-9223372036854775807 shared, ofd 10-20 exclusive, posix 30-9223372036854775807 shared")

	s.must(unix.SYS_FCNTL, a, unix.F_OFD_SETLK, unsafe.Pointer(&unix.Flock_t{Type: unix.F_UNLCK, Start: 13, Len: 2}))
	s.must(unix.SYS_CLOSE, b)
	waitLocks(t, st, "flock 0-9223372036854775807 shared, ofd 10-13 exclusive, ofd 15-20 exclusive")

	if err := files.Sync(); err != nil {
		t.Fatal(err)
	}
	_, after := filesOn(t, disk.CrashClone(vfs.CrashCloneCfg{}))
	if got, _ := lockRows(t, after); got != "" {
		t.Errorf("after a power cut these are held: %s", got)
	}
}

var heldLocks = tables.Declare[file.LockRow]("os.locks")

// waitLocks waits until os.locks is as it should be.
func waitLocks(t *testing.T, s *store.Store, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		got, seen := lockRows(t, s)
		if got == want {
			return
		}
		var all []engine.Range
		err := s.View(ctx, func(tx *tables.Tx) (err error) {
			all, err = tx.KeysOf(heldLocks)
			return err
		})
		if err == nil {
			_, err = s.Engine().Watch(ctx, seen, all...)
		}
		if err != nil {
			t.Fatalf("%v; os.locks has\n%s\nwant\n%s", err, got, want)
		}
	}
}

func lockRows(t *testing.T, s *store.Store) (text string, seen engine.Version) {
	t.Helper()
	var list []string
	err := s.View(t.Context(), func(tx *tables.Tx) error {
		seen = tx.Version()
		for row, err := range heldLocks.Scan(tx, tables.Span{}) {
			if err != nil {
				return err
			}
			how := "shared"
			if row.Exclusive {
				how = "exclusive"
			}
			if row.Inode == 0 || row.Program == "" {
				t.Errorf("whose lock is it? %+v", row)
			}
			list = append(list, fmt.Sprintf("%s %d-%d %s", row.Kind, row.Start, row.End, how))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return strings.Join(list, ", "), seen
}
