package embedded

import (
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Commits returns the transactions later than from.
func (r *reader) Commits(from engine.Version, reverse bool) iter.Seq2[engine.Commit, error] {
	return func(yield func(engine.Commit, error) bool) {
		after := noVersion
		if from != "" {
			var err error
			if after, err = r.e.internal(from); err != nil {
				yield(engine.Commit{}, err)
				return
			}
		}
		err := r.records(after, reverse, func(v version, record []byte) (bool, error) {
			c, err := r.commit(v, record)
			return err == nil && yield(c, nil), err
		})
		if err != nil {
			yield(engine.Commit{}, err)
		}
	}
}

// commit decodes the record of v.
func (r *reader) commit(v version, record []byte) (engine.Commit, error) {
	c, err := parseCommit(record)
	if err != nil {
		return engine.Commit{}, corrupt("commit "+v.String(), err)
	}
	out, err := c.external(v, r.e.who)
	if err != nil || !c.traced {
		return out, err
	}
	raw, closer, err := r.e.db.Get(versionKey(prefixTrace, v))
	if errors.Is(err, pebble.ErrNotFound) {
		return out, nil // collected
	}
	if err != nil {
		return out, storage(err)
	}
	_, keys, err := parseTrace(raw)
	if err != nil {
		err = corrupt("trace "+v.String(), err)
	}
	for _, k := range keys {
		out.Keys = append(out.Keys, append([]byte{}, k...))
	}
	return out, errors.Join(err, closer.Close())
}

// visitRecord is called for each record until it returns false or an error.
type visitRecord func(v version, record []byte) (bool, error)

// records visits the records of the transactions later than after, up to the
// reader's version. The tail is taken before the blocks: in between, it may turn
// into one, and is passed over then.
func (r *reader) records(after version, reverse bool, visit visitRecord) error {
	w := recordWalk{after: after, upTo: r.at, reverse: reverse, visit: visit}
	tail := r.e.tail()
	if reverse {
		if err := w.block(tail); err != nil || w.done {
			return err
		}
		return w.blocks(r.e.db)
	}
	if err := w.blocks(r.e.db); err != nil || w.done {
		return err
	}
	return w.block(tail)
}

// recordWalk is a way through the blocks in one direction.
type recordWalk struct {
	after, upTo version
	reverse     bool
	visit       visitRecord
	last        version // the one visited before; 0 for none
	done        bool
}

func (w *recordWalk) blocks(db pebble.Reader) error {
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: versionKey(prefixCommits, w.after+1), UpperBound: []byte{prefixCommits + 1},
	})
	if err != nil {
		return storage(err)
	}
	for ok := w.seek(it); ok && err == nil && !w.done; ok = step(it, w.reverse, true) {
		var raw []byte
		if raw, err = it.ValueAndErr(); err == nil {
			err = w.block(raw)
		}
	}
	return errors.Join(storage(err), storage(it.Close()))
}

// seek goes to the first block of the walk: backward, it is the one that has the
// last version or ends behind it.
func (w *recordWalk) seek(it *pebble.Iterator) bool {
	if !w.reverse {
		return it.First()
	}
	return it.SeekGE(versionKey(prefixCommits, w.upTo)) || it.Last()
}

// block visits the records of one.
func (w *recordWalk) block(raw []byte) error {
	if raw == nil {
		return nil
	}
	var all []found
	err := parseBlock(raw, func(v version, record []byte) error {
		if v > w.after && v <= w.upTo {
			all = append(all, found{v, record})
		}
		return nil
	})
	if err != nil {
		return corrupt("block of commits", err)
	}
	if w.reverse {
		slices.Reverse(all)
	}
	for _, f := range all {
		if w.last != 0 && (f.version <= w.last) != w.reverse || w.last == f.version {
			continue
		}
		w.last = f.version
		more, err := w.visit(f.version, f.record)
		if err != nil || !more {
			w.done = true
			return err
		}
	}
	return nil
}

// chosenOperation resolves an ID that the engine gave, which names the version.
func (e *Engine) chosenOperation(id string) (v version, done bool, err error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(id, chosenPrefix), 16, 64)
	if err != nil || n == 0 || chosenID(version(n)) != id {
		return 0, false, nil
	}
	r := e.newReader(e.last.Load())
	defer e.freeReader(r)
	err = r.records(version(n)-1, false, func(v version, record []byte) (bool, error) {
		if v != version(n) {
			return false, nil
		}
		c, err := parseCommit(record)
		done = err == nil && c.id == ""
		return false, err
	})
	return version(n), done, err
}
