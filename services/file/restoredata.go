package file

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tuplix/tuplix/dbms/table"
)

// dataUse is what a restore makes of one row of os.data.
type dataUse struct {
	by     int // chunks more that refer to it
	pages  int // that it has
	freed  bool
	shared bool // in the end
}

// use notes that a chunk has come to refer (by +1), or ceased to (-1), to what x refers
// to and other does not.
func (r *restorer) use(x, other *extent, by int) {
	for ref := range x.rows() {
		if other.refers(ref.data) {
			continue
		}
		u := r.uses[ref.data]
		if u == nil {
			u = &dataUse{pages: int(ref.pages)}
			r.uses[ref.data] = u
		}
		u.by += by
	}
}

// sizeOfExtent is about what the row of a chunk and what goes with it take, in bytes.
const sizeOfExtent = 200

// extent makes a chunk what it was; nil: there was nothing, or is nothing. Data that only
// one of the two refers to comes into use, or is freed.
func (r *restorer) extent(then, now *ExtentRow) error {
	x, err := r.extentOf(then)
	if err != nil {
		return err
	}
	y, err := r.extentOf(now)
	if err != nil {
		return err
	}
	r.use(x, y, +1)
	r.use(y, x, -1)
	r.written += sizeOfExtent + len(x.inline)
	if then == nil {
		return extents.Delete(r.tx, now.Inode, now.Chunk)
	}
	x.inherit(y)
	then.Pieces = x.encodePieces(nil)
	r.taken = append(r.taken, *then)
	return nil
}

func (r *restorer) extentOf(row *ExtentRow) (*extent, error) {
	if row == nil {
		return noExtent, nil
	}
	return decodeExtent(row.Inline, row.Pieces)
}

// sameExtent compares what two rows refer to, whatever is said of others who do.
func sameExtent(a, b *ExtentRow) (bool, error) {
	x, err := decodeExtent(a.Inline, a.Pieces)
	if err != nil {
		return false, err
	}
	y, err := decodeExtent(b.Inline, b.Pieces)
	if err != nil {
		return false, err
	}
	x.inherit(y)
	y.inherit(x)
	return x.refs == y.refs && string(x.inline) == string(y.inline), nil
}

// inherit takes over marks at data to which both refer.
func (x *extent) inherit(old *extent) {
	for i := range x.refs {
		for _, r := range old.refs {
			if r.data == x.refs[i].data && r.shared {
				x.refs[i].shared = true
			}
		}
	}
}

// settle brings data, how it is shared, and the lists of what is freed, up to date.
func (r *restorer) settle() error {
	if err := r.unlist(); err != nil {
		return err
	}
	for id, u := range r.uses {
		if err := r.share(id, u); err != nil {
			return err
		}
	}
	for i := range r.taken {
		if err := r.put(&r.taken[i]); err != nil {
			return err
		}
	}
	w := writer{fs: r.fs, group: &group{nextNumber: r.fs.nextNumber}, tx: r.tx, freed: r.freed}
	err := w.end()
	r.reserved = w.reserved
	return err
}

// unlist takes data that is in use again out of the lists of what is freed.
func (r *restorer) unlist() error {
	var changed []FreedRow
	for row, err := range freed.Scan(r.tx, table.Span{}) {
		if err != nil {
			return err
		}
		list, err := decodeFreed(row.Data)
		if err != nil {
			return err
		}
		kept := slices.DeleteFunc(slices.Clone(list), func(d freedData) bool {
			u := r.uses[d.id]
			if u == nil || u.by <= 0 {
				return false
			}
			u.freed = true
			return true
		})
		if len(kept) < len(list) {
			row.Data = kept.encode()
			changed = append(changed, row)
		}
	}
	for _, row := range changed {
		var err error
		if len(row.Data) == 0 {
			err = freed.Delete(r.tx, row.ID)
		} else {
			err = freed.Put(r.tx, &row)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// share writes how many chunks refer to one row of os.data in the end.
func (r *restorer) share(id uint64, u *dataUse) error {
	before, err := r.chunks(id, u)
	if err != nil {
		return err
	}
	after := before + u.by
	u.shared = after > 1
	switch {
	case after < 0:
		return fmt.Errorf("%w: data %d has %d chunks, of which %d go", ErrDamaged, id, before, -u.by)
	case after == 0 && before > 0:
		r.freed.add(id, u.pages)
	}
	if max(before, after) > 1 && before != after {
		return setShares(r.tx, id, uint32(after))
	}
	return nil
}

// chunks is how many chunks refer to data before the restore. What nothing refers to
// and is nowhere listed is not there: the whole tree was restored in between, and its
// data with it. It is brought back.
func (r *restorer) chunks(id uint64, u *dataUse) (int, error) {
	if u.freed {
		return 0, nil
	}
	s, err := shares.Get(r.tx, id)
	if err == nil || !errors.Is(err, table.ErrNotFound) {
		return int(s.Chunks), err
	}
	if u.by <= 0 {
		return 1, nil
	}
	if _, err = data.Get(r.tx, id); !errors.Is(err, table.ErrNotFound) {
		return 1, err
	}
	row, err := data.Get(r.past, id)
	if err == nil {
		err = data.Put(r.tx, &row)
	}
	if err == nil && id >= loadedData {
		err = judged(r.tx, id+1)
	}
	return 0, err
}

// put writes an extent of the past. It is marked where its data is shared now.
func (r *restorer) put(row *ExtentRow) error {
	x, err := decodeExtent(row.Inline, row.Pieces)
	if err != nil {
		return err
	}
	for i := range x.refs {
		ref := &x.refs[i]
		if u := r.uses[ref.data]; u != nil && u.shared {
			ref.shared = true
		}
	}
	row.Pieces = x.encodePieces(nil)
	return extents.Put(r.tx, row)
}
