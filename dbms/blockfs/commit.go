package blockfs

import (
	"fmt"
	"slices"
	"syscall"
)

// Changes of metadata are made in memory first, as records that join the batch.
// A commit takes the whole batch to the device: one goroutine leads, whoever
// comes meanwhile waits for it or joins the next (group commit). FS.mu is not
// held while the device works.
//
//	change ──► batch ──► [flush] ──► journal write ──► flush ──► committed
//	                        │                                        │
//	     only if a record tells of data                     freed blocks of
//	     not known to be durable yet                        these changes may
//	                                                        be used again
//
// Where the journal has no room left, or its end is not sure because a write of
// it failed, the commit is a checkpoint into the other area instead.

// apply makes the change r in memory and adds it to the batch; fs.mu is held.
// The records of one call of FS.change are committed together. about is the
// inode that is durable only when this change is, besides the one created.
func (fs *FS) apply(r record, about *inode) error {
	if err := fs.usable(); err != nil {
		return err
	}
	if err := fs.roomFor(&r); err != nil {
		return err
	}
	dropped, err := fs.tree.apply(&r)
	if err != nil {
		return err
	}
	fs.logRecord(&r)
	if about != nil {
		about.lastOp = fs.op
	}
	if dropped != nil {
		dropped.lastOp = fs.op
		if dropped.handles == 0 {
			fs.freeFile(dropped)
		}
	}
	return nil
}

func (fs *FS) logRecord(r *record) {
	fs.batch = r.append(fs.batch)
	fs.op++
}

// roomFor refuses a record that could make the image outgrow its area. Removing
// is never refused, and creating sooner than the rest.
func (fs *FS) roomFor(r *record) error {
	grow, limit := int64(0), fs.sb.imageCapacity()
	switch r.op {
	case opCreate:
		grow, limit = createBytes+setFileBytes+int64(len(r.name)), limit-imageReserve
	case opLink:
		grow, limit = createBytes+int64(len(r.name)), limit-imageReserve
	case opRename:
		grow = int64(len(r.toName) - len(r.name))
	}
	if grow > 0 && fs.tree.imageBytes+grow > limit {
		return fmt.Errorf("metadata area is full: %w", syscall.ENOSPC)
	}
	return nil
}

// recordFile records the live view of a file, if the recorded one is behind. It
// returns the change to wait for until all about the file is durable, 0 for none.
// fs.mu is held, and in.writer, so that all data of the live view was written.
func (fs *FS) recordFile(in *inode) (uint64, error) {
	if in.links == 0 || in.isDir() {
		return in.lastOp, nil
	}
	in.view.RLock()
	defer in.view.RUnlock()
	want := in.wanted()
	if want == in.rec {
		return in.lastOp, nil
	}
	if more := int64(want.count-in.rec.count) * extentBytes; fs.tree.imageBytes+more > fs.sb.imageCapacity() {
		return 0, fmt.Errorf("metadata area is full: %w", syscall.ENOSPC)
	}
	keep, kept := whole(in.extents, in.rec.blocks)
	r := record{op: opSetFile, inode: in.id, size: want.size, valid: want.valid, mtime: in.mtime,
		keep: uint32(keep), extents: prefix(in.extents[keep:], want.blocks-kept)}
	fs.tree.setRecorded(in, want)
	fs.logRecord(&r)
	fs.dataPending = true
	in.lastOp = fs.op
	return fs.op, nil
}

// wanted is what the metadata should say of a file now: its length, and for a
// log that is being written all that it has room for.
func (in *inode) wanted() recorded {
	room := int64(in.blocks) * blockSize
	switch {
	case in.kind == kindLog && in.writers > 0:
		return recorded{room, room, in.blocks, len(in.extents)}
	case in.kind == kindLog:
		return recorded{in.size, room, in.blocks, len(in.extents)}
	}
	n := uint64(alignUp(in.size, blockSize) / blockSize)
	return recorded{in.size, in.size, n, len(prefix(in.extents, n))}
}

// commit returns when all changes up to op are durable.
func (fs *FS) commit(op uint64) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.commitLocked(op)
}

func (fs *FS) commitLocked(op uint64) error {
	for fs.committed < op {
		if fs.committing {
			fs.changed.Wait()
			continue
		}
		if err := fs.barrier.failed(); err != nil {
			return err
		}
		if err := fs.lead(); err != nil {
			return err
		}
	}
	return nil
}

// lead commits all changes so far; fs.mu is held, and given up meanwhile.
func (fs *FS) lead() error {
	fs.committing = true
	op, batch, pending := fs.op, fs.batch, fs.dataPending
	fs.batch, fs.dataPending = nil, false
	var work func() error
	if !fs.journalLost && fs.pos.offset+fs.sb.commitSize(len(batch)) <= fs.sb.journalBytes {
		work = func() error { return fs.writeCommit(batch, pending) }
	} else {
		image := fs.tree.image()
		work = func() error { return fs.writeCheckpoint(image) }
	}
	fs.mu.Unlock()
	err := work()
	fs.mu.Lock()
	fs.committing = false
	fs.journalLost = err != nil
	if err == nil {
		fs.committed = op
		fs.release()
	}
	fs.changed.Broadcast()
	return err
}

// writeCommit appends one commit to the journal.
func (fs *FS) writeCommit(records []byte, dataPending bool) error {
	if dataPending {
		if err := fs.barrier.flush(); err != nil {
			return err
		}
	}
	b := fs.sb.encodeCommit(fs.pos, records)
	if err := writeDevice(fs.dev, b, fs.sb.journalOffset(fs.pos.area)+fs.pos.offset); err != nil {
		return err
	}
	if err := fs.barrier.flush(); err != nil {
		return err
	}
	fs.pos.sequence++
	fs.pos.offset += int64(len(b))
	return nil
}

// writeCheckpoint makes the other area current, with the given image; see
// area.go for the order. Until its headers are written a failure costs nothing;
// then nobody knows which area counts, and the volume stops writing.
func (fs *FS) writeCheckpoint(image []byte) error {
	old := fs.pos
	next := journalPosition{area: 1 - old.area, generation: old.generation + 1, sequence: 1}
	h := areaHeader{generation: next.generation, state: areaActive, imageSum: checksum(image), imageBytes: int64(len(image))}
	if err := fs.writeImage(image, fs.sb.imageOffset(next.area)); err != nil {
		return err
	}
	if err := fs.barrier.flush(); err != nil {
		return err
	}
	if err := fs.sb.writeAreaHeader(fs.dev, next.area, h); err != nil {
		fs.barrier.fail(err)
		return err
	}
	if err := fs.barrier.flush(); err != nil {
		return err
	}
	fs.pos = next
	return fs.sb.writeAreaHeader(fs.dev, old.area, areaHeader{generation: old.generation, state: areaRetired, imageSum: checksum(nil)})
}

func (fs *FS) writeImage(image []byte, off int64) error {
	if int64(len(image)) > fs.sb.imageCapacity() {
		return fmt.Errorf("blockfs: image of %d bytes outgrew its area", len(image))
	}
	padded := make([]byte, alignUp(int64(len(image)), fs.sb.sector)-int64(len(image)))
	image = slices.Concat(image, padded)
	for len(image) > 0 {
		n := min(len(image), maxGrowth)
		if err := writeDevice(fs.dev, image[:n], off); err != nil {
			return err
		}
		image, off = image[n:], off+int64(n)
	}
	return nil
}
