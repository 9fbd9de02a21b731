package pc

import (
	"sync"
	"time"

	"github.com/tuplix/tuplix/drivers/virtio/blk"
)

// sayEvery bounds how often a failing disk is heard of.
const sayEvery = time.Second

// loudDisk is a disk whose errors are in the kernel log, whoever else gets them:
// not every program tells.
type loudDisk struct {
	*blk.Device

	mu     sync.Mutex
	last   time.Time
	silent int // errors since then that were not said
}

func (d *loudDisk) ReadAt(p []byte, off int64) (int, error) {
	n, err := d.Device.ReadAt(p, off)
	return n, d.heard("read", off, err)
}

func (d *loudDisk) WriteAt(p []byte, off int64) (int, error) {
	n, err := d.Device.WriteAt(p, off)
	return n, d.heard("write", off, err)
}

func (d *loudDisk) Flush() error { return d.heard("flush", 0, d.Device.Flush()) }

// heard returns err, and says it now and then.
func (d *loudDisk) heard(op string, off int64, err error) error {
	if err == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.last) < sayEvery {
		d.silent++
		return err
	}
	say("disk: %s at byte %d: %v (%d more errors before)", op, off, err, d.silent)
	d.last, d.silent = time.Now(), 0
	return err
}
