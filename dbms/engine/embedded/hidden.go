package embedded

import (
	"bytes"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// part is a piece of a range that restores cover wholly or not at all.
type part struct {
	r      engine.Range
	hidden bool
}

// cut divides a range where restores that are not repaired begin and end.
func cut(r engine.Range, hides []*hide) []part {
	covered := slices.ContainsFunc(hides, func(h *hide) bool { return h.r.Overlaps(r) })
	if !covered {
		return []part{{r: r}}
	}
	var bounds [][]byte
	for _, h := range hides {
		for _, b := range [][]byte{h.r.Low, h.r.High} {
			if len(b) > 0 && r.Contains(b) && !bytes.Equal(b, r.Low) {
				bounds = append(bounds, b)
			}
		}
	}
	slices.SortFunc(bounds, bytes.Compare)
	bounds = slices.CompactFunc(bounds, bytes.Equal)
	var parts []part
	for low, i := r.Low, 0; i <= len(bounds); i++ {
		p := part{r: engine.Range{Low: low, High: r.High}}
		if i < len(bounds) {
			p.r.High = bounds[i]
		}
		p.hidden = slices.ContainsFunc(hides, func(h *hide) bool { return h.r.Overlaps(p.r) })
		parts = append(parts, p)
		low = p.r.High
	}
	return parts
}

// hiddenCursor goes over a range of which the restores are not repaired: it
// decides for each key by all that is stored of it.
type hiddenCursor struct {
	r     *reader
	lines *timelines
	past  *pebble.Iterator // history, as lines sees it; made when it is needed
	key   []byte           // a scratch key in Pebble
	value []byte
	err   error
}

func newHiddenCursor(r *reader, rng engine.Range, reverse bool) engine.Cursor {
	lines, err := r.e.timelines(rng, reverse, noVersion)
	if err == nil {
		if err = r.e.retention.checkRange(rng, r.at); err != nil {
			_ = lines.close()
		}
	}
	if err != nil {
		return &failedCursor{err: err}
	}
	return &hiddenCursor{r: r, lines: lines}
}

func (c *hiddenCursor) Next() bool {
	for c.err == nil && c.lines.next() {
		l := &c.lines.line
		s, err := resolve(c.r.active, l.key, c.r.at, func(t version) (state, error) { return l.at(t), nil })
		if err != nil {
			c.err = err
			return false
		}
		if s.present {
			c.err = c.load(l, s.since)
			return c.err == nil
		}
	}
	return false
}

// load reads the value of the row that began at since.
func (c *hiddenCursor) load(l *timeline, since version) error {
	raw := c.lines.present
	if until := l.until(since); until != endVersion {
		c.key = appendHistory(c.key[:0], l.key, until)
		var err error
		if raw, err = c.stored(c.key); err != nil {
			return err
		}
	}
	row, err := parseRow(raw)
	if err != nil {
		return corruptKey(l.key, err)
	}
	c.value = row.value
	return nil
}

// stored is the row at a key of history. It is not read by a Get, which goes by filters that
// Check does not read.
func (c *hiddenCursor) stored(key []byte) (raw []byte, err error) {
	if c.past == nil {
		if c.past, err = c.lines.hist.Clone(pebble.CloneOptions{}); err != nil {
			return nil, storage(err)
		}
	}
	if !c.past.SeekGE(key) || !bytes.Equal(c.past.Key(), key) {
		return nil, errors.Join(storage(c.past.Error()), engine.ErrTooOld)
	}
	raw, err = c.past.ValueAndErr()
	return raw, storage(err)
}

func (c *hiddenCursor) Key() []byte   { return c.lines.line.key }
func (c *hiddenCursor) Value() []byte { return c.value }

func (c *hiddenCursor) Err() error {
	if c.err != nil {
		return c.err
	}
	if c.lines == nil {
		return nil
	}
	return c.lines.err
}

func (c *hiddenCursor) Close() error {
	if c.lines == nil {
		return nil
	}
	c.err = c.Err()
	lines, past := c.lines, c.past
	c.lines, c.past = nil, nil
	if past == nil {
		return lines.close()
	}
	return errors.Join(storage(past.Close()), lines.close())
}
