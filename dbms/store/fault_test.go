package store_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev"
	"github.com/tuplix/tuplix/dbms/blockdev/crash"
	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
)

var (
	faultStep = flag.Int("faults.step", 23, "fail each `n`th operation in TestIOErrors")
	flipStep  = flag.Int("flips.step", 19, "flip a bit in each `n`th block in TestFlippedBits")
)

// TestIOErrors fails each operation of the device in a workload in turn, once or
// from then on: reads, writes, flushes and discards, from the opening of the store
// to its end; with EIO and with ENOSPC, which a device may give whose space is
// taken as it fills. Nothing that was acknowledged is lost, no answer is wrong, and
// when the fault has ended the store opens and is whole.
func TestIOErrors(t *testing.T) {
	steps := *faultStep
	if testing.Short() {
		steps = 41
	}
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		for _, lasting := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/lasting=%v", errno, lasting), func(t *testing.T) {
				t.Parallel()
				n := 0
				for reached := true; reached && !t.Failed(); n += steps {
					t.Run(fmt.Sprint(n), func(t *testing.T) { reached = runIOError(t, n, errno, lasting) })
				}
				t.Logf("each %d of %d operations", steps, n)
			})
		}
	}
}

func runIOError(t *testing.T, n int, errno error, lasting bool) (reached bool) {
	disk := crash.New(16<<20, 512)
	clients := newClients(5)
	s, tables := openCrash(t, disk)
	for _, c := range clients {
		c.work(t, s, tables, disk, 10, false)
	}
	check(t, s.Close())
	count := 0
	disk.SetHook(func(op crash.Op, off, size int64) error {
		count++
		if count == n+1 || lasting && count > n {
			reached = true
			return errno
		}
		return nil
	})
	if err := workload(t, disk, clients); err != nil && !reached {
		t.Fatal(err)
	}
	disk.SetHook(nil)
	s, tables = openCrash(t, disk)
	verify(t, s, tables, clients)
	for _, c := range clients {
		c.work(t, s, tables, disk, 3, false)
	}
	verify(t, s, tables, clients)
	check(t, s.Close())
	return reached
}

// workload opens a store, reads what the clients have, and has them work, one
// after another, so that the operations of the device are the same each time.
func workload(t *testing.T, disk *crash.Device, clients []*client) error {
	volume, err := blockfs.Open(disk, blockfs.Options{})
	if err != nil {
		return err
	}
	tables := declareCrash()
	s, err := store.Open(t.Context(), volume, options(t), tables.notes, tables.ledgers)
	if err != nil {
		return err
	}
	err = s.View(t.Context(), func(tx *table.Tx) error {
		for _, c := range clients {
			got := map[uint16]note{}
			for n, err := range tables.notes.Scan(tx, table.Prefix(c.id)) {
				if err != nil {
					return err
				}
				got[n.Key] = n
			}
			if want := c.history[len(c.history)-1]; !maps.Equal(got, want) {
				t.Errorf("client %d reads\n%v, should read\n%v", c.id, sorted(got), sorted(want))
			}
		}
		return nil
	})
	for _, c := range clients {
		c.work(t, s, tables, disk, 12, true)
	}
	return errors.Join(err, s.Close())
}

// TestFlippedBits changes a bit in the blocks of a small store, in turn. Whoever
// reads gets what was written, or an error; and what gives no error, the check
// finds whole, or names. A change that nobody notices is in a sector that is not in use:
// random bytes in place of all of it change nothing either.
//
// Of a store that was not closed, damage in what was written last looks like what a power
// cut leaves. That is the last row and those that Pebble does not count as durable, for it
// forgets what of a row was in the log's block before: less than a row in each block, and
// it begins a new log after less than eight.
func TestFlippedBits(t *testing.T) {
	for name, closed := range map[string]bool{"closed": true, "cut": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flipBits(t, closed)
		})
	}
}

func flipBits(t *testing.T, closed bool) {
	disk := blockdev.NewMemory(crashDisk, 512)
	volume, err := blockfs.Open(disk, blockfs.Options{FormatBlank: true})
	check(t, err)
	tables := declareCrash()
	s := open(t, volume, tables.notes, tables.ledgers)
	want := map[uint16]string{}
	for k := range uint16(3000) {
		text := fmt.Sprintf("note %d %x", k, rand.New(rand.NewPCG(uint64(k), 0)).Uint64())
		update(t, s, "ann", "write", func(tx *table.Tx) error {
			return tables.notes.Insert(tx, &note{Key: k, Text: text, Group: uint8(k)})
		})
		want[k] = text
	}
	last := 0 // rows of what was written last
	if closed {
		check(t, s.Close())
	} else {
		last = 10
	}
	const block = 4096
	image := disk.Clone()
	if !closed {
		check(t, s.Close())
	}
	r := rand.New(rand.NewPCG(2, 2))
	written, flipped, noticed, missed := 0, 0, 0, 0
	content := make([]byte, block)
	for at := int64(0); at < image.Size(); at += block {
		_, err := image.ReadAt(content, at)
		check(t, err)
		if blank(content) {
			continue
		}
		if written++; written%*flipStep != 0 {
			continue
		}
		bit := r.IntN(block * 8)
		content[bit/8] ^= 1 << (bit % 8)
		damaged := image.Clone()
		_, err = damaged.WriteAt(content, at)
		check(t, err)
		flipped++
		if damageNoticed(t, damaged, want, last) {
			noticed++
		} else if ruined := ruin(t, image, at+int64(bit/8), r); damageNoticed(t, ruined, want, last) {
			// The sector is in use. What is behind a file's end in it, or behind a record of
			// the journal, is not: zeroes. Pebble's OPTIONS, a text, has no checksum, and is
			// not where this store has its options from.
			missed++
			if behind := content[bit/8]&(content[bit/8]-1) == 0; closed && !behind && !isText(content) {
				t.Errorf("the change was not noticed, and the sector is in use")
			}
		}
		if t.Failed() {
			t.Fatalf("bit %d of byte %d of block %d", bit%8, bit/8, at/block)
		}
	}
	t.Logf("%d blocks: damage in %d was noticed, in %d it was behind an end or in the options; the others belong to nothing any more", flipped, noticed, missed)
	if noticed < flipped/5 {
		t.Errorf("damage in %d of %d blocks only was noticed", noticed, flipped)
	}
}

// isText tells whether a block has nothing but text and zeroes, but for a bit.
func isText(block []byte) bool {
	others := 0
	for _, c := range block {
		if c != 0 && c != '\n' && (c < ' ' || c > '~') {
			others++
		}
	}
	return others <= 1
}

// ruin copies a disk with random bytes in place of a whole sector.
func ruin(t *testing.T, disk *blockdev.Memory, at int64, r *rand.Rand) *blockdev.Memory {
	t.Helper()
	const sector = 512
	ruined, garbage := disk.Clone(), make([]byte, sector)
	for i := range garbage {
		garbage[i] = byte(r.Uint32())
	}
	_, err := ruined.WriteAt(garbage, at/sector*sector)
	check(t, err)
	return ruined
}

func blank(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// damageNoticed opens and reads a damaged store.
func damageNoticed(t *testing.T, disk *blockdev.Memory, want map[uint16]string, last int) bool {
	t.Helper()
	volume, err := blockfs.Open(disk, blockfs.Options{})
	if err != nil {
		return true
	}
	tables := declareCrash()
	s, err := store.Open(t.Context(), volume, store.Options{}, tables.notes, tables.ledgers)
	if err != nil {
		return true
	}
	noticed := false
	err = s.Check(t.Context(), func(p engine.Problem) {
		if p.Where == "" || p.What == "" {
			t.Errorf("a problem without a name: %+v", p)
		}
		noticed = true
	})
	noticed = noticed || err != nil
	err = s.View(t.Context(), func(tx *table.Tx) error {
		n := 0
		for row, err := range tables.notes.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			if n++; row.Text != want[row.Key] {
				t.Errorf("row %d has %q, %q was written", row.Key, row.Text, want[row.Key])
			}
		}
		if n > len(want) || n < len(want)-last {
			t.Errorf("%d rows of %d", n, len(want))
		}
		return nil
	})
	noticed = noticed || err != nil
	err = s.View(t.Context(), func(tx *table.Tx) error {
		for row, err := range tables.byGroup.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			if row.Text != want[row.Key] || row.Group != uint8(row.Key) {
				t.Errorf("by its group, row %d is %+v, %q was written", row.Key, row, want[row.Key])
			}
		}
		return nil
	})
	noticed = noticed || err != nil
	err = s.View(t.Context(), func(tx *table.Tx) error {
		for c, err := range tx.Raw().Commits("", true) {
			if err != nil {
				return err
			}
			if c.Op.User == "ann" && (c.Op.Name != "write" || c.RowsWritten != 1) {
				t.Errorf("a commit is %+v", c)
			}
		}
		return nil
	})
	noticed = noticed || err != nil
	return s.Close() != nil || noticed
}
