package file

import (
	"flag"
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var manyFiles = flag.Int("many.files", 20_000, "TestManyFiles makes `n` files in one directory")

// manyMost is how many times longer an operation may take in the last tenth of many
// files than in the first: it is not to depend on how many there are. Other work on the
// machine may disturb either, so it is asked of the whole only where there are enough.
const (
	manyMost   = 3
	manyEnough = 500_000
)

// TestManyFiles makes many files in one directory, looks them up, lists and removes
// them, and sees that what one takes stays the same.
func TestManyFiles(t *testing.T) {
	total := *manyFiles / raceShare
	disk := vfs.NewMem()
	fs := must[*FS](t)(mount(disk, Options{Log: t.Logf}))
	dir := must[*Inode](t)(fs.Root().Create("many", New{Mode: syscall.S_IFDIR | 0o755}))
	each := func(what string, do func(i int) error) {
		t.Helper()
		var tenths []time.Duration
		for tenth := range 10 {
			begun := time.Now()
			for i := tenth * total / 10; i < (tenth+1)*total/10; i++ {
				if err := do(i); err != nil {
					t.Fatalf("%s %d: %v", what, i, err)
				}
			}
			tenths = append(tenths, time.Since(begun)*10/time.Duration(total))
		}
		t.Logf("%-10s each: %v", what, tenths)
		if total >= manyEnough && tenths[9] > manyMost*tenths[0] {
			t.Errorf("%s takes %v of the last files, %v of the first", what, tenths[9], tenths[0])
		}
	}
	each("create", func(i int) error {
		_, err := dir.Create(strconv.Itoa(i), New{Mode: syscall.S_IFREG | 0o644})
		return err
	})
	if err := fs.Sync(); err != nil {
		t.Fatal(err)
	}
	each("lookup", func(i int) error { _, err := dir.Lookup(strconv.Itoa(i * 7919 % total)); return err })
	each("absent", func(i int) error {
		if _, err := dir.Lookup(fmt.Sprint("not", i)); err != syscall.ENOENT {
			return fmt.Errorf("found: %w", err)
		}
		return nil
	})
	manyList(t, dir, total)
	each("remove", func(i int) error { return dir.Unlink(strconv.Itoa(i)) })
	if a := dir.Attr(); a.Size != 0 {
		t.Errorf("%d entries are left", a.Size)
	}
	closeChecked(t, fs)
}

// manyList lists a directory as getdents does, in pieces.
func manyList(t *testing.T, dir *Inode, total int) {
	begun, seen, position := time.Now(), make([]bool, total), int64(0)
	for found := -1; found != 0; {
		found = 0
		err := dir.ReadDir(position, func(e Entry) bool {
			i, err := strconv.Atoi(e.Name)
			if err != nil || seen[i] {
				t.Fatalf("%q is listed: %v", e.Name, err)
			}
			seen[i], position = true, e.Position
			found++
			return found < 1000
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, ok := range seen {
		if !ok {
			t.Fatalf("%d is not listed", i)
		}
	}
	t.Logf("%-10s each: %v", "list", time.Since(begun)/time.Duration(total))
}
