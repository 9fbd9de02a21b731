package embedded

import (
	"context"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// What measurements and maintenance need beyond the seam.

// PebbleOptions are the options that an engine opened with o in a directory gives
// its Pebble, without listeners: for a Pebble that it is measured against. What the
// engine has for rows, that one has for blocks.
func PebbleOptions(fs vfs.FS, dir string, o Options) *pebble.Options {
	o.fill()
	p := pebbleOptions(fs, &o)
	fit(p, fs, dir)
	p.CacheSize += int64(o.Memory/cacheShare + o.Memory/pastShare)
	return p
}

// Exclusive says that nobody else changes the store, and that transactions run
// one after another: what one of them has read of the newest state, the next
// finds unchanged unless a transaction of this Engine has changed it.
func (e *Engine) Exclusive() bool { return true }

// Compact writes out what is only in memory and the log, and merges all tables of
// Pebble into one level: after it nothing is left of deleted and replaced rows
// but what is kept as history. Pebble compacts by itself, so this is for a store
// that has been filled and will be read, and takes as long as rewriting it does.
func (e *Engine) Compact(ctx context.Context) error {
	if err := e.enterSettled(); err != nil {
		return err
	}
	defer e.leave()
	if err := e.failed(); err != nil {
		return err
	}
	_, p := e.room.free()
	piece := p.piece
	if p == &endless {
		piece = compactPiece
	}
	return e.guard(func() error {
		return e.compactor.Compact(ctx, e.db, []byte{0}, []byte{0xff}, piece, func() bool { return false })
	})
}

// compactPiece is how many bytes of tables are compacted at a time where the volume
// has no end.
const compactPiece = 256 << 20

// LeaveOutProvenance has transactions leave no record from now on, or again. It is
// for measuring what records cost, and for nothing else: a store must not be kept
// that was written so. Each transaction must put a row meanwhile.
func (e *Engine) LeaveOutProvenance(yes bool) {
	e.alone()
	defer e.commit.Unlock()
	e.bare = yes
}
