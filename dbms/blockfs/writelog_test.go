package blockfs

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/tuplix/tuplix/dbms/blockdev"
	"github.com/tuplix/tuplix/dbms/blockdev/writelog"
)

// TestWriteLog records what Pebble does to a disk and replays it to every flush,
// and to random parts of what was written after: the volume must be sound and the
// database must open, each time.
func TestWriteLog(t *testing.T) {
	base := blockdev.NewMemory(8<<20, 512)
	must(t, Format(base, FormatOptions{}))
	dev := writelog.NewRecorder(base.Clone())
	fs, err := Open(dev, Options{})
	must(t, err)
	opts := pebbleOptions(fs)
	opts.MemTableSize = 64 << 10
	db, err := pebble.Open("db", opts)
	must(t, err)
	for i := range 60 {
		must(t, db.Set(fmt.Appendf(nil, "key%d", i%7), pattern(i, 5000), pebble.Sync))
	}
	must(t, db.Close())
	must(t, fs.Close())

	states := 0
	err = writelog.Replay(bytes.NewReader(dev.Bytes()), writelog.Options{Base: base, Seed: 1, Subsets: 2}, func(s writelog.State) error {
		states++
		if _, err := Check(s.Device); err != nil || states%4 != 0 {
			return err
		}
		fs, err := Open(s.Device, Options{})
		if err != nil {
			return err
		}
		db, err := pebble.Open("db", pebbleOptions(fs))
		if err != nil {
			return err
		}
		return errors.Join(db.Close(), fs.Close())
	})
	must(t, err)
	t.Logf("%d states", states)
}
