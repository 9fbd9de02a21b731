package pc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/drivers/metal"
	"github.com/tuplix/tuplix/drivers/virtio"
	"github.com/tuplix/tuplix/drivers/virtio/blk"
	"github.com/tuplix/tuplix/kernel"
	"github.com/tuplix/tuplix/kernel/cmdline"
	"github.com/tuplix/tuplix/services/file"
	"github.com/tuplix/tuplix/services/linux"
	"github.com/tuplix/tuplix/services/metric/figure"
)

// How much of the machine's memory the store and the files may keep in caches and
// buffers, and how much of that the files.
const (
	storeShare  = 6
	storeLeast  = embedded.MinMemory + file.MinMemory
	storeAtMost = 256 << 20
	filesShare  = 4
)

// pastInMemory is for how long a machine without a disk remembers.
const pastInMemory = engine.MinRetention

// calmAfter is for how long nothing is written before the store's log is put into
// tables, which the next boot would do otherwise, before the program begins.
const calmAfter = time.Second

// leastDisk is the smallest disk that is taken, in bytes: on a smaller one the
// store's own work fails before the disk is full.
const leastDisk = 16 << 20

// files is the machine's store with the files in it, and what it stands on.
type files struct {
	store  *store.Store
	fs     *file.FS
	volume *blockfs.FS // nil in memory
}

// openVolume opens the first virtio disk, if there is one. The options of the command
// line:
//
//	disk=none     use no disk
//	format=force  make a volume on the disk, whatever is on it; an encrypted disk
//	              stays one, and needs its key
//
// An error says what to do about it.
func openVolume(devices *metal.Inventory, line *cmdline.Line, console *prompt) (*files, error) {
	disk, err := openDisk(devices, line)
	if err != nil {
		return nil, err
	}
	f := &files{}
	if disk == nil {
		say("NO DISK: files are kept in memory and will be LOST at power-off")
		return f, nil
	}
	if f.volume, err = volumeOf(disk, line, console); err != nil {
		return nil, advise(err)
	}
	return f, nil
}

// mount opens the store of the volume and the files in it, or empty ones in memory.
func (f *files) mount() error {
	if f.volume == nil {
		return f.open(vfs.NewMem())
	}
	if err := f.open(f.volume); err != nil {
		return advise(err)
	}
	return nil
}

func (f *files) open(fs vfs.FS) (err error) {
	total := kernel.ReadStats().MemoryTotal
	budget := int(min(max(total/storeShare, storeLeast), storeAtMost))
	files := max(budget/filesShare, file.MinMemory)
	o := store.Options{Options: embedded.Options{Memory: budget - files, Log: say}}
	fo := file.Options{Memory: files, Log: say}
	if f.volume != nil {
		o.FlushAfter = calmAfter
	} else {
		o.Retention, fo.Past = pastInMemory, int64(files)
	}
	if f.store, f.fs, err = file.OpenVolume(context.Background(), fs, o, fo, file.Tables()...); err != nil {
		return err
	}
	store.Provide(f.store)
	file.Provide(f.fs)
	return nil
}

// openDisk returns the first block device, nil if there is none.
func openDisk(devices *metal.Inventory, line *cmdline.Line) (*blk.Device, error) {
	if v, _ := line.Get("disk"); v == "none" {
		return nil, nil
	}
	for _, t := range devices.Virtio {
		if t.ID() == virtio.IDBlock {
			d, err := blk.Open(t, metal.Machine{})
			if err != nil {
				return nil, fmt.Errorf("disk: %w", err)
			}
			figure.Provide(diskFigures(d))
			return d, nil
		}
	}
	return nil, nil
}

func volumeOf(device *blk.Device, line *cmdline.Line, console *prompt) (*blockfs.FS, error) {
	disk := &loudDisk{Device: device}
	if disk.Size() < leastDisk {
		return nil, fmt.Errorf("%w: its %d bytes are too few, at least %d are needed", blockfs.ErrDevice, disk.Size(), int64(leastDisk))
	}
	content, err := unlock(disk, console)
	if err != nil {
		return nil, err
	}
	if v, _ := line.Get("format"); v == "force" {
		if err := blockfs.Format(content, blockfs.FormatOptions{Force: true}); err != nil {
			return nil, err
		}
	}
	return blockfs.Open(content, blockfs.Options{FormatBlank: true})
}

// close makes everything durable before the program ends. The files stay open:
// what still runs may go on.
func (f *files) close() {
	if err := f.sync(); err != nil {
		say("sync: %v", err)
	}
}

// sync makes files and tables durable.
func (f *files) sync() error { return errors.Join(f.fs.Sync(), f.store.Sync(context.Background())) }

// restart is reboot(2); drain is called when all is durable.
func (f *files) restart(how linux.Restart, drain func()) error {
	if err := f.sync(); err != nil {
		return err
	}
	drain()
	switch how {
	case linux.Reboot:
		kernel.Reset()
	default:
		kernel.PowerOff(0)
	}
	return nil
}

// unpackModules puts the files of boot modules, tar archives all, below the
// root, and enters the working directory that the command line names (cwd=).
func (f *files) unpackModules(line *cmdline.Line) error {
	for i, m := range kernel.Modules() {
		if err := f.fs.Root().ImportTar(bytes.NewReader(m.Data)); err != nil {
			return fmt.Errorf("boot module %d: %w", i, err)
		}
	}
	if dir, ok := line.Get("cwd"); ok {
		if err := syscall.Chdir(dir); err != nil {
			return fmt.Errorf("cwd=%s: %w", dir, err)
		}
	}
	return nil
}
