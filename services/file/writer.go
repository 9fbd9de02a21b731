package file

import (
	"errors"
	"slices"

	"github.com/tuplix/tuplix/dbms/table"
)

// writer turns a group into rows. What it learns on the way is shown only when the
// transaction has been committed, as its function may run again.
type writer struct {
	fs     *FS
	group  *group
	tx     *table.Tx
	freed  freedList
	chunks []writtenChunk
	buffer []byte
	row    DataRow
	used   map[uint64]bool // loaded data that extents refer to

	reserved CounterRow // numbers that are set aside
}

// writtenChunk is what a chunk has become.
type writtenChunk struct {
	inode  *Inode
	number uint64
	extent *extent // nil: it is gone
}

func (w *writer) write(tx *table.Tx) error {
	w.tx, w.freed, w.chunks = tx, w.freed[:0], w.chunks[:0]
	clear(w.used)
	if err := w.names(); err != nil {
		return err
	}
	for i, n := range w.group.inodes {
		if err := w.inode(n, &w.group.rows[i], w.group.dead[i]); err != nil {
			return err
		}
	}
	for i, n := range w.group.files {
		if l := w.group.layers[i]; l != nil {
			if err := w.contents(n, l); err != nil {
				return err
			}
		}
	}
	return w.end()
}

func (w *writer) names() error {
	for k, c := range w.group.names {
		var err error
		if c.child == nil {
			err = deleteRow(entries.Delete(w.tx, k.directory, nameHash(k.name), k.name))
		} else {
			err = entries.Put(w.tx, &EntryRow{Dir: k.directory, Hash: nameHash(k.name), Name: k.name, Inode: c.child.number, Type: c.mode})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteRow drops the error that there was no such row.
func deleteRow(err error) error {
	if errors.Is(err, table.ErrNotFound) {
		return nil
	}
	return err
}

func (w *writer) inode(n *Inode, row *InodeRow, dead bool) error {
	switch {
	case dead && !n.stored:
		return nil
	case dead:
		return w.remove(n)
	}
	if row.Links == 0 && !n.orphan {
		if err := orphans.Put(w.tx, &OrphanRow{row.Number}); err != nil {
			return err
		}
	}
	if row.Links > 0 && n.orphan {
		if err := deleteRow(orphans.Delete(w.tx, row.Number)); err != nil {
			return err
		}
	}
	if err := w.xattrs(n); err != nil {
		return err
	}
	return inodes.Put(w.tx, row)
}

// remove deletes all rows of an inode.
func (w *writer) remove(n *Inode) error {
	if n.orphan {
		if err := deleteRow(orphans.Delete(w.tx, n.number)); err != nil {
			return err
		}
	}
	if n.record.attributes > 0 || w.group.xattrs[n] != nil {
		if _, err := attributes.DeleteRange(w.tx, table.Prefix(n.number)); err != nil {
			return err
		}
	}
	if err := w.cut(n, 0, nil); err != nil {
		return err
	}
	return deleteRow(inodes.Delete(w.tx, n.number))
}

// fewChunks is how many chunks are looked for one by one rather than by a scan.
const fewChunks = 16

// cut frees what is stored from a chunk on, and deletes the rows but those of chunks
// that are written anew.
func (w *writer) cut(n *Inode, from uint64, l *layer) error {
	end := chunksOf(n.storedSize)
	if from >= end {
		return nil
	}
	drop := func(number uint64, x *extent) error {
		if err := w.drop(x, noExtent); err != nil {
			return err
		}
		if l != nil && l.chunks[number] != nil {
			return nil
		}
		w.chunks = append(w.chunks, writtenChunk{n, number, nil})
		return deleteRow(extents.Delete(w.tx, n.number, number))
	}
	if end-from > fewChunks {
		return scanExtents(w.tx, n.number, from, noCut, drop)
	}
	for number := from; number < end; number++ {
		x, err := w.stored(n).extent(number)
		if err == nil && !x.empty() {
			err = drop(number, x)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stored reads what is stored of an inode. Nobody else stores groups meanwhile.
func (w *writer) stored(n *Inode) *stored {
	return &stored{n: n, tx: w.tx, epoch: n.epoch.Load(), era: n.fs.era.Load()}
}

// scanExtents calls each for the chunks of an inode in [from, to) that are stored.
func scanExtents(tx *table.Tx, inode, from, to uint64, each func(number uint64, x *extent) error) error {
	for row, err := range extents.Scan(tx, table.From(inode, from).To(inode, to)) {
		if err != nil {
			return err
		}
		x, err := decodeExtent(row.Inline, row.Pieces)
		if err == nil {
			err = each(row.Chunk, x)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// contents writes what has changed of a file.
func (w *writer) contents(n *Inode, l *layer) error {
	if l.cut != noCut {
		if err := w.cut(n, l.cut, l); err != nil {
			return err
		}
	}
	numbers := make([]uint64, 0, len(l.chunks))
	for number := range l.chunks {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	for _, number := range numbers {
		if err := w.chunk(n, l, number); err != nil {
			return err
		}
	}
	return nil
}

// chunk writes one chunk: new pages in rows of os.data, and where they are.
func (w *writer) chunk(n *Inode, l *layer, number uint64) error {
	old := noExtent
	var err error
	if number < l.cut && int64(number) <= n.storedSize/chunkSize {
		if old, err = w.stored(n).extent(number); err != nil {
			return err
		}
	}
	c := l.chunks[number]
	next, pages, err := w.plan(old, c)
	if err != nil {
		return err
	}
	if err := w.pages(next, &pages); err != nil {
		return err
	}
	if err := w.drop(old, next); err != nil {
		return err
	}
	if next.empty() && old.empty() && number < l.cut {
		w.chunks = append(w.chunks, writtenChunk{n, number, next})
		return nil
	}
	return w.put(n, number, next)
}

// put writes the row of one chunk.
func (w *writer) put(n *Inode, number uint64, next *extent) error {
	w.chunks = append(w.chunks, writtenChunk{n, number, next})
	if next.empty() {
		return deleteRow(extents.Delete(w.tx, n.number, number))
	}
	w.use(next)
	row := ExtentRow{Inode: n.number, Chunk: number, Pieces: next.encodePieces(nil)}
	if next.refs[0].data == inlined {
		row.Inline = next.inline
	}
	return extents.Put(w.tx, &row)
}

// plan says which pages of the old extent stay, and which are to be written: those
// that have changed, and others if that makes a better extent.
func (w *writer) plan(old *extent, c *chunk) (next *extent, pages [chunkPages][]byte, err error) {
	next = &extent{}
	for i := range chunkPages {
		switch {
		case c.pages[i] != nil:
			pages[i] = c.pages[i]
		case c.loaded != 0 && c.gone>>i&1 == 0:
			next.refs[i] = pageRef{data: c.loaded, index: uint8(i), pages: chunkPages}
		case c.gone>>i&1 == 0:
			next.refs[i] = old.refs[i]
		}
	}
	return next, pages, w.fit(next, &pages, old.inline)
}

// fit makes a good extent of pages that are stored and those that are to be, where inline
// is that of the page that lay in the extent itself.
func (w *writer) fit(next *extent, pages *[chunkPages][]byte, inline []byte) error {
	beyondFirst := false
	for i := 1; i < chunkPages; i++ {
		beyondFirst = beyondFirst || pages[i] != nil || next.refs[i].data != 0
	}
	switch {
	case pages[0] != nil && !beyondFirst && len(pages[0]) <= mostInline:
		next.inline, next.refs[0] = pages[0], pageRef{data: inlined, pages: 1}
		pages[0] = nil
	case next.refs[0].data == inlined && !beyondFirst:
		next.inline = inline
	case next.refs[0].data == inlined:
		pages[0], next.refs[0], next.inline = inline, pageRef{}, nil
	}
	if next.wasteful() {
		return w.gather(next, pages)
	}
	return nil
}

// mostKept is how many pages the rows of one chunk may have in all before the chunk
// is written anew.
const mostKept = 3 * chunkPages

// wasteful tells whether the extent keeps rows of which it needs too little.
func (x *extent) wasteful() bool {
	kept := 0
	for r := range x.rows() {
		kept += int(r.pages)
	}
	return kept > mostKept
}

// gather reads the pages that stay, so that they are written anew.
func (w *writer) gather(next *extent, pages *[chunkPages][]byte) error {
	for i, r := range next.refs {
		if r.data == 0 || r.data == inlined {
			continue
		}
		row, err := data.Get(w.tx, r.data)
		if err != nil {
			return err
		}
		pages[i] = pageOf(row.Bytes, int(r.index))
		next.refs[i] = pageRef{}
	}
	return nil
}

// pages writes runs of pages as rows of os.data.
func (w *writer) pages(next *extent, pages *[chunkPages][]byte) error {
	for i := 0; i < chunkPages; {
		n := 0
		for i+n < chunkPages && pages[i+n] != nil {
			n++
		}
		if n == 0 {
			i++
			continue
		}
		id := w.fs.nextData
		w.fs.nextData++
		w.row = DataRow{ID: id, Bytes: w.join(pages[i : i+n])}
		if err := data.Put(w.tx, &w.row); err != nil {
			return err
		}
		for j := range n {
			next.refs[i+j] = pageRef{data: id, index: uint8(j), pages: uint8(n)}
		}
		i += n
	}
	return nil
}

// join makes one stretch of pages; all but the last are filled up.
func (w *writer) join(pages [][]byte) []byte {
	if len(pages) == 1 {
		return pages[0]
	}
	w.buffer = w.buffer[:0]
	for i, p := range pages {
		w.buffer = append(w.buffer, p...)
		if short := BlockSize - len(p); short > 0 && i < len(pages)-1 {
			w.buffer = append(w.buffer, zeros[:short]...)
		}
	}
	return w.buffer
}

var zeros [BlockSize]byte

// end writes what was freed, and the counters if they have run out.
func (w *writer) end() (err error) {
	if err := w.loaded(); err != nil {
		return err
	}
	for part := range slices.Chunk(w.freed, mostFreed) {
		row := FreedRow{ID: w.fs.nextData, Data: part.encode()}
		w.fs.nextData++
		if err := freed.Put(w.tx, &row); err != nil {
			return err
		}
	}
	w.reserved, err = w.fs.reserve(w.tx, w.group.nextNumber)
	return err
}

// show makes known what has been committed. commit is held.
func (w *writer) show() {
	fs := w.fs
	for _, n := range w.group.files {
		n.epoch.Add(1)
	}
	for i, n := range w.group.inodes {
		if w.group.dead[i] {
			n.epoch.Add(1)
			continue
		}
		n.stored, n.orphan = true, w.group.rows[i].Links == 0
		n.storedSize = w.group.rows[i].Size
	}
	w.showChunks()
	for i, n := range w.group.files {
		if l := w.group.layers[i]; l != nil {
			fs.keepPages(n, l)
		}
		n.dropFlushed()
	}
}

// showChunks makes known what has become of chunks, and of the numbers that are set
// aside. commit is held.
func (w *writer) showChunks() {
	fs := w.fs
	for _, c := range w.chunks {
		k := blockKey{c.inode.number, c.number}
		if c.extent == nil {
			fs.extents.drop(k.hash(), k)
		} else {
			fs.extents.put(k.hash(), k, c.extent, c.extent.cost())
		}
	}
	fs.freedBytes.Add(w.freed.bytes())
	fs.reserved = w.reserved
}

// keepPages puts pages that were just stored into the cache, in place of older ones,
// but not those that calls have changed or removed since.
func (fs *FS) keepPages(n *Inode, l *layer) {
	n.rlock()
	defer n.mu.RUnlock()
	open := n.layers.Load().open
	for number, c := range l.chunks {
		if c.loaded != 0 {
			n.dropPages(number*chunkPages, (number+1)*chunkPages)
		}
		for i, p := range c.pages {
			if p == nil {
				continue
			}
			block := number*chunkPages + uint64(i)
			if _, state := open.page(block); state == below && c.bypass>>i&1 == 0 {
				fs.cachePage(n, block, p)
			} else {
				n.dropPage(block)
			}
		}
	}
}
