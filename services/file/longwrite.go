package file

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// Whole chunks of a long write do not wait in memory for their group. They go to the
// store at once, as rows of os.data that are loaded beside transactions
// (engine.Loader), and the group has only where they are:
//
//	write ──► loads.current ─────────────────► commit: durable, nobody knows of it
//	  │                                          │ before
//	  └─────► chunk.loaded ──► group ──────────► transaction: os.extents, os.loaded
//
// A group is the judge of all rows that were loaded until it was taken: those to which
// nothing has come to refer, since they were written over at once or a call has failed,
// are freed by it. os.loaded says up to which number that was done. What lies beyond is
// of no file; after a crash or a restore it waits for the next group, which frees it.
//
// Loading costs some flushes of its own, so it is for who writes much without a sync.

const (
	// loadedData is where the ids of loaded data begin. Behind it they go by the clock,
	// so that none is used twice, whatever is restored.
	loadedData = 1 << 63

	// loadFrom is loads.from.
	loadFrom = 1 << 20

	loadedCost = 512 // of a chunk that was loaded, bytes of a group
)

// loads is the data that goes to the store beside transactions.
type loads struct {
	mu       sync.Mutex // guards the rest; held while the device is written to
	current  *table.Load[DataRow]
	first    uint64     // id of its first row
	before   chan error // tells what became of the one before, if that is not known
	earlier  uint64     // id of its first row
	failed   error      // what became of one: none of the rows of which nobody knows may be used
	next     uint64     // id of the next row
	from     int64      // so many bytes of whole chunks after a sync are written in the usual way
	unsynced int64      // bytes of whole chunks since the last sync
	row      DataRow

	unsettled []uint64 // ids of rows on which no group has judged, ascending
}

// loadedChunks are the rows that have the whole chunks of a write, from the first on.
type loadedChunks struct {
	first uint64
	ids   []uint64
}

// at is the row that has the chunk which begins at an offset; 0: there is none.
func (l *loadedChunks) at(off int64) uint64 {
	number := uint64(off / chunkSize)
	if len(l.ids) == 0 || off%chunkSize != 0 || number < l.first || number-l.first >= uint64(len(l.ids)) {
		return 0
	}
	return l.ids[number-l.first]
}

// loadChunks takes the whole chunks of a write, if it is part of a long one. The caller
// is inside the gate.
func (fs *FS) loadChunks(p []byte, off int64) (loadedChunks, error) {
	first := (off + chunkSize - 1) / chunkSize
	whole := (off+int64(len(p)))/chunkSize - first
	if whole <= 0 {
		return loadedChunks{}, nil
	}
	l := &fs.loads
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unsynced += whole * chunkSize; l.unsynced <= l.from {
		return loadedChunks{}, nil
	}
	done := loadedChunks{first: uint64(first)}
	for i := range whole {
		id, err := fs.loadChunk(p[(first+i)*chunkSize-off:][:chunkSize])
		if err != nil {
			return done, fs.broken(err)
		}
		if id == 0 {
			break
		}
		done.ids = append(done.ids, id)
	}
	return done, nil
}

// loadChunk takes one; 0: the store does not. loads.mu is held.
func (fs *FS) loadChunk(p []byte) (uint64, error) {
	l := &fs.loads
	if l.current != nil && l.current.Left() == 0 {
		if err := l.rotate(); err != nil {
			return 0, err
		}
	}
	if l.current == nil {
		if err := fs.beginLoad(); errors.Is(err, engine.ErrNoLoad) || errors.Is(err, engine.ErrFull) {
			l.unsynced = 0 // and is asked again after a while
			return 0, nil
		} else if err != nil {
			return 0, err
		}
	}
	l.row = DataRow{ID: l.next, Bytes: p}
	if err := l.current.Put(&l.row); err != nil {
		return 0, err
	}
	l.next++
	l.unsettled = append(l.unsettled, l.row.ID)
	return l.row.ID, nil
}

// beginLoad begins a load, of rows with new ids. loads.mu is held.
func (fs *FS) beginLoad() (err error) {
	l := &fs.loads
	l.next = max(l.next, loadedData|uint64(max(fs.options.Now().UnixMicro(), 1)))
	op := fs.op("load contents of files")
	l.first = l.next
	l.current, err = data.Load(context.Background(), fs.db, &op, table.From(l.first))
	return err
}

// rotate has a load that is full committed while the next one is filled. mu is held.
func (l *loads) rotate() error {
	if err := l.wait(); err != nil {
		return err
	}
	full, done := l.current, make(chan error, 1)
	l.current, l.before, l.earlier = nil, done, l.first
	go func() { done <- full.Commit(context.Background()) }()
	return nil
}

// wait returns when no load is committed in the background. mu is held.
func (l *loads) wait() error {
	if l.before != nil {
		if err := <-l.before; l.failed == nil {
			l.failed = err
		}
		l.before = nil
	}
	return l.failed
}

// commit makes what is being loaded durable and seen. mu is held.
func (l *loads) commit() error {
	err := l.wait()
	if l.current == nil {
		return err
	}
	if err != nil {
		l.current.Abort()
	} else {
		l.failed = l.current.Commit(context.Background())
	}
	l.current = nil
	return l.failed
}

// finish makes all that was loaded durable and seen.
func (l *loads) finish() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.commit()
}

// ready sees that a row can be read.
func (l *loads) ready(id uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.current != nil && id >= l.first:
		return l.commit()
	case l.before != nil && id >= l.earlier:
		return l.wait()
	}
	return nil
}

// taken are the rows on which the group that is being taken is to judge. Nothing is
// loaded meanwhile.
func (l *loads) taken() []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.unsettled)
}

// settled says that a group has judged, and whether all is durable.
func (l *loads) settled(ids []uint64, durable bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsettled = l.unsettled[len(ids):]
	if durable {
		l.unsynced = 0
	}
}

// abort forgets what is being loaded. To nothing that stays does it matter.
func (l *loads) abort() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.wait() // it is remembered
	if l.current != nil {
		l.current.Abort()
		l.current = nil
	}
}

// reload finds the rows on which no group has judged. Nothing is loaded meanwhile.
func (l *loads) reload(tx *table.Tx) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	row, err := loaded.Get(tx, uint64(1))
	if err != nil && !errors.Is(err, table.ErrNotFound) {
		return err
	}
	l.next, l.unsettled = max(l.next, row.Next), nil
	for d, err := range data.Scan(tx, table.From(max(row.Next, loadedData))) {
		if err != nil {
			return err
		}
		l.unsettled = append(l.unsettled, d.ID)
		l.next = max(l.next, d.ID+1)
	}
	return nil
}

// loaded judges on the rows of the group that were loaded.
func (w *writer) loaded() error {
	ids := w.group.loaded
	if len(ids) == 0 {
		return nil
	}
	for _, id := range ids {
		if !w.used[id] {
			w.freed.add(id, chunkPages)
		}
	}
	return judged(w.tx, ids[len(ids)-1]+1)
}

// judged writes down that all data with ids below next that is seen belongs to a file or
// is freed.
func judged(tx *table.Tx, next uint64) error {
	row, err := loaded.Get(tx, uint64(1))
	if err != nil && !errors.Is(err, table.ErrNotFound) || err == nil && row.Next >= next {
		return err
	}
	return loaded.Put(tx, &LoadedRow{ID: 1, Next: next})
}

// settleLoads has all that was loaded judged on, where no group is to be stored. It is
// part of alone.
func (fs *FS) settleLoads() error {
	if err := fs.loads.finish(); err != nil {
		return fs.broken(err)
	}
	ids := fs.loads.taken()
	if len(ids) == 0 {
		return nil
	}
	w := writer{fs: fs, group: &group{nextNumber: fs.nextNumber, loaded: ids}}
	op := fs.op("free contents that were loaded")
	op.NoWait, op.Claimed = true, true
	if _, err := fs.db.Update(context.Background(), &op, w.write); err != nil {
		return fs.broken(err)
	}
	w.showChunks()
	fs.loads.settled(ids, false)
	return nil
}

// use notes that loaded data has come to be referred to.
func (w *writer) use(x *extent) {
	for r := range x.rows() {
		if r.data >= loadedData {
			if w.used == nil {
				w.used = map[uint64]bool{}
			}
			w.used[r.data] = true
		}
	}
}

// putLoaded gives a chunk the contents that were loaded. mu is held, inside the gate.
func (n *Inode) putLoaded(l *layer, number, id uint64) error {
	missing := int64(0)
	for i := range uint64(chunkPages) {
		existed, err := n.exists(number*chunkPages + i)
		if err != nil {
			return err
		}
		if !existed {
			missing++
		}
	}
	n.record.Blocks += missing
	n.dropPages(number*chunkPages, (number+1)*chunkPages)
	*l.chunk(number) = chunk{loaded: id}
	n.fs.journal.open.size.Add(loadedCost)
	return nil
}

// row is the loaded row that has a page; it is called where page says so.
func (s *layers) row(block uint64) uint64 {
	for _, l := range [...]*layer{s.open, s.flushing} {
		if _, state := l.page(block); state != below {
			return l.chunks[block/chunkPages].loaded
		}
	}
	return 0
}

// loadedPage reads a page that was loaded and is in no extent yet. mu is held.
func (n *Inode) loadedPage(id, block uint64) (page []byte, err error) {
	if err = n.fs.loads.ready(id); err == nil {
		err = n.fs.view(func(tx *table.Tx) error {
			row, err := data.Get(tx, id)
			page = pageOf(row.Bytes, int(block%chunkPages))
			return err
		})
	}
	if err != nil {
		return nil, n.fs.damaged("page %d of inode %d, which was just written: %v", block, n.number, err)
	}
	return page, nil
}

// loadedPage is the same for a long read.
func (b *bulkReader) loadedPage(block uint64) ([]byte, error) {
	id := b.layers.row(block)
	if b.row.ID != id {
		err := b.n.fs.loads.ready(id)
		if err == nil {
			b.row, err = data.Peek(b.tx, id)
		}
		if err != nil {
			return nil, err // a view that is newer is tried next
		}
	}
	return pageOf(b.row.Bytes, int(block%chunkPages)), nil
}
