package blockfs

// Blocks of a deleted file must not be written again before the deletion is
// durable: after a crash the file might be back. Their way to reuse:
//
//	removed ──► frees (waiting for the commit) ──► discards ──► allocator
//
// The device is told of them (discard) in between, when neither the metadata on
// the device nor any file of this run refers to them.

// pendingFree holds extents until change op is durable.
type pendingFree struct {
	op      uint64
	extents []extent
}

// freeFile gives up all blocks of a file without names and handles; fs.mu is held.
func (fs *FS) freeFile(in *inode) {
	in.view.Lock()
	extents := in.extents
	in.extents, in.blocks, in.buf = nil, 0, buffer{}
	in.view.Unlock()
	if len(extents) > 0 {
		fs.frees = append(fs.frees, pendingFree{fs.op, extents})
		fs.release()
	}
}

// release moves on what the last commit has set free; fs.mu is held.
func (fs *FS) release() {
	n := 0
	for ; n < len(fs.frees) && fs.frees[n].op <= fs.committed; n++ {
		fs.discards = append(fs.discards, fs.frees[n].extents...)
	}
	fs.frees = append([]pendingFree(nil), fs.frees[n:]...)
	if len(fs.discards) == 0 || fs.reclaiming {
		return
	}
	fs.reclaiming = true
	if fs.opts.inline {
		fs.reclaim()
	} else {
		go func() {
			fs.mu.Lock()
			defer fs.mu.Unlock()
			fs.reclaim()
		}()
	}
}

// reclaim works the discards off; fs.mu is held, and given up meanwhile.
func (fs *FS) reclaim() {
	for len(fs.discards) > 0 {
		extents := fs.discards
		fs.discards = nil
		fs.mu.Unlock()
		failed := fs.discard(extents)
		fs.alloc.give(extents)
		fs.mu.Lock()
		fs.discardErrors += failed
		fs.changed.Broadcast()
	}
	fs.reclaiming = false
	fs.changed.Broadcast()
}

// discard tells the device of unused extents, neighbours in one go. It is
// advice: where it fails nothing is lost, so failures are only counted.
func (fs *FS) discard(extents []extent) (failed uint64) {
	if fs.opts.NoDiscard {
		return 0
	}
	for i := 0; i < len(extents); {
		e := extents[i]
		for i++; i < len(extents) && extents[i].start == e.end(); i++ {
			e.count += extents[i].count
		}
		if fs.dev.Discard(int64(e.start)*blockSize, e.bytes()) != nil {
			failed++
		}
	}
	return failed
}

// allocate takes blocks; see allocator.take. When there are not enough it first
// makes pending deletions durable, whose blocks can then be had.
func (fs *FS) allocate(need, want, hint uint64) ([]extent, error) {
	for {
		if got := fs.alloc.take(need, want, hint); got != nil {
			return got, nil
		}
		if more, err := fs.awaitSpace(); err != nil || !more {
			return nil, err
		}
	}
}

// awaitSpace returns true when blocks may have become free since before the
// call, false when none are on their way.
func (fs *FS) awaitSpace() (bool, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	switch {
	case fs.reclaiming:
		fs.changed.Wait()
		return true, nil
	case len(fs.frees) > 0:
		return true, fs.commitLocked(fs.frees[0].op)
	}
	return false, nil
}
