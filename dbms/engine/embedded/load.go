package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	pebbleblock "github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Rows that are loaded go into one table of Pebble, a file beside its own, which Pebble
// takes in when it is complete and durable:
//
//	Load ──► version of the rows (a transaction that writes nothing)
//	Put  ──► block, checksum ──► the file
//	Commit ► flush of the file ──► Pebble's manifest ──► they are seen
//
// So their bytes pass neither the log nor a memtable, and nothing merges with them. The
// file has its blocks on the device from the beginning: a Put does not run out of room.
// What a crash leaves of a file that was not taken in is removed when the store is
// opened. What a restore does to loads that are under way is in underway.go.
//
// Blocks are not compressed, and have the other of Pebble's two checksums: as safe, and
// of a third of the cost where CRC32's instruction is emulated.

const (
	loadPrefix = "load-" // of the files' names

	// Tables that are loaded are as large as the largest that compactions make, within
	// these bounds. Where those are smaller, the device is: contents of files and what a
	// compaction rewrites of them would be too much of it.
	minLoad = 512 << 10
	maxLoad = 32 << 20

	// loadOverhead is more than what the last row exceeds a table by, and what that has
	// besides its rows.
	loadOverhead = 512 << 10
)

// loads is what loading needs to know of the store.
type loads struct {
	options sstable.WriterOptions
	history sstable.WriterOptions // of tables of history (unpack.go)
	most    int64                 // bytes of one; 0: there is no loading
	next    atomic.Uint64
	under   loadsUnderWay
}

// Settled is the newest version up to which no row will come to be any more.
func (e *Engine) Settled() (engine.Version, error) {
	if err := e.enter(); err != nil {
		return "", err
	}
	defer e.leave()
	e.alone() // loads begin with this lock held
	defer e.commit.Unlock()
	return min(e.last.Load(), e.loads.under.oldest()-1).external(), nil
}

func (l *loads) init(p *pebble.Options) {
	o := p.Clone()
	o.EnsureDefaults()
	last := len(o.Levels) - 1
	l.options = o.MakeWriterOptions(last, sstable.TableFormatPebblev4)
	l.history = o.MakeWriterOptions(0, o.FormatMajorVersion.MaxTableFormat())
	l.options.Compression = sstable.NoCompression
	l.options.Checksum = pebbleblock.ChecksumTypeXXHash64
	if most := min(o.TargetFileSizes[last], maxLoad); most >= minLoad {
		l.most = most
	}
}

// load is a load under way.
type load struct {
	e     *Engine
	since version // from begun on
	rng   engine.Range
	path  string
	w     *sstable.Writer
	left  int64
	keys  keyList
	key   []byte // in Pebble
	row   []byte
}

var (
	_ engine.Loader = (*Engine)(nil)
	_ engine.Load   = (*load)(nil)
)

// Load begins to store rows beside transactions.
func (e *Engine) Load(ctx context.Context, op *engine.Op, r engine.Range) (engine.Load, error) {
	if err := e.enter(); err != nil {
		return nil, err
	}
	defer e.leave()
	if e.loads.most == 0 {
		return nil, engine.ErrNoLoad
	}
	if !e.room.fits(&noRoom{need: e.loads.most + loadOverhead, grows: true}) {
		e.maker.early(e)
		return nil, engine.ErrNoLoad
	}
	quick := engine.Op{}
	if op != nil {
		quick = *op
	}
	quick.ID, quick.NoWait, quick.Trace = "", true, false
	l := &load{e: e, rng: r, left: e.loads.most}
	_, err := e.Update(ctx, &quick, func(t engine.Tx) error {
		e.loads.under.begun(l, t.(*tx).version)
		return e.untouched(r)
	})
	if err == nil {
		l.path = e.fence.PathJoin(e.room.dir, fmt.Sprintf("%s%d", loadPrefix, e.loads.next.Add(1)))
		err = l.create()
	}
	if err != nil {
		e.loads.under.ended(l)
		return nil, err
	}
	return l, nil
}

// untouched sees that there is no row in a range, be it hidden by a restore or not.
func (e *Engine) untouched(r engine.Range) error {
	low, high := dataBounds(r)
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return storage(err)
	}
	there := it.First()
	if err := errors.Join(storage(it.Error()), storage(it.Close())); err != nil {
		return err
	}
	if there {
		return engine.ErrNoLoad
	}
	return nil
}

// create makes the file, past the fence: its failures are this load's only.
func (l *load) create() error {
	fs := l.e.fence.FS
	f, err := fs.Create(l.path, vfs.WriteCategoryUnspecified)
	if err == nil {
		if err = f.Preallocate(0, l.left+loadOverhead); err != nil {
			err = errors.Join(err, f.Close(), fs.Remove(l.path))
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", engine.ErrNoLoad, err)
	}
	l.w = sstable.NewWriter(&loadFile{f}, l.e.loads.options)
	return nil
}

// loadFile is a file that a table is written to.
type loadFile struct{ file vfs.File }

// Write writes all of p.
func (f *loadFile) Write(p []byte) error {
	_, err := f.file.Write(p)
	return err
}

// Finish makes the file durable.
func (f *loadFile) Finish() error { return errors.Join(f.file.Sync(), f.file.Close()) }

// Abort closes a file that nobody will read.
func (f *loadFile) Abort() { _ = f.file.Close() }

// Left is how much room there is in the table.
func (l *load) Left() int64 { return max(l.left, 0) }

// Put adds a row.
func (l *load) Put(key, head, tail []byte) error {
	if err := l.check(key, len(head)+len(tail)); err != nil {
		return err
	}
	l.keys.add(key)
	l.key = appendData(l.key[:0], key)
	l.row = binary.BigEndian.AppendUint64(l.row[:0], uint64(l.since))
	l.row = append(append(append(l.row, 0), head...), tail...)
	l.left -= int64(len(l.key) + len(l.row))
	return storage(l.w.Set(l.key, l.row))
}

func (l *load) check(key []byte, size int) error {
	if err := engine.CheckKey(key); err != nil {
		return err
	}
	n := l.keys.len()
	switch {
	case size > l.e.opts.MaxValue:
		return &engine.LimitError{What: "bytes of a value", Size: int64(size), Limit: int64(l.e.opts.MaxValue)}
	case !l.rng.Contains(key), n > 0 && bytes.Compare(l.keys.at(n-1), key) >= 0:
		return fmt.Errorf("key %q is loaded out of its order or range", key)
	case l.left <= 0:
		return &engine.LimitError{What: "bytes of a load", Size: l.e.loads.most - l.left, Limit: l.e.loads.most}
	}
	return nil
}

// Commit makes the rows durable and seen. After an error it is not known whether they
// are.
func (l *load) Commit(ctx context.Context) error {
	e := l.e
	if err := e.enter(); err != nil {
		l.Abort()
		return err
	}
	defer e.leave()
	defer e.loads.under.ended(l)
	err := storage(l.w.Close())
	if err == nil {
		err = e.failed()
	}
	if err != nil || l.keys.len() == 0 || !e.loads.under.take(l) {
		return errors.Join(err, l.hidden(), e.fence.FS.Remove(l.path))
	}
	if err := e.guard(func() error { return e.db.Ingest(ctx, []string{l.path}) }); err != nil {
		return err
	}
	return l.show()
}

// show corrects what is in memory about where there are no rows. Before, nobody knew of
// these, so nobody has missed them.
func (l *load) show() error {
	e := l.e
	e.kept.sweep()
	e.alone()
	defer e.commit.Unlock()
	for i := range l.keys.len() {
		e.gaps.cut(l.keys.at(i))
	}
	e.groups.apply.Lock()
	e.empty.wrote(&l.keys, nil, e.last.Load())
	e.groups.apply.Unlock()
	if err := e.failed(); err != nil {
		return err
	}
	if err := e.writeBlock(); err != nil { // or the next opening reads all that was loaded
		return err
	}
	return l.hidden()
}

// hidden is the error of a load that a restore has hidden.
func (l *load) hidden() error {
	if l.e.loads.under.isHidden(l) {
		return fmt.Errorf("%w: a restore has hidden what was being loaded", engine.ErrNoLoad)
	}
	return nil
}

// Abort removes the file.
func (l *load) Abort() {
	defer l.e.loads.under.ended(l)
	_ = l.w.Close() // of what is removed
	if err := l.e.fence.FS.Remove(l.path); err != nil {
		l.e.opts.Log("store: removing %s: %v", l.path, err)
	}
}

// removeLoads removes what loads have left behind in a directory that a crash
// interrupted. A directory that does not exist has none.
func removeLoads(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return nil // Pebble makes it, or says what is wrong
	}
	for _, name := range names {
		if strings.HasPrefix(name, loadPrefix) {
			if err := fs.Remove(fs.PathJoin(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
