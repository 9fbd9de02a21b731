package embedded

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// maxBatch bounds what one transaction may need in memory: what it writes, and
// the rows that it replaces, which move to history.
const maxBatch = 1 << 30

// tx is a transaction under way. The commit lock is held, so nothing changes
// below it. It satisfies engine.Tx.
type tx struct {
	reader
	op      *engine.Op
	version version
	now     time.Time
	batch   *pebble.Batch
	err     error // of a Put or the like: the transaction must not commit

	// The first row that is put waits for the end, when the record of the commit
	// is known that it carries.
	firstKey, firstValue []byte
	hasFirst             bool

	recall     recall // rows that were read, which a Put need not read again
	keys       keyList
	restores   []*hide
	retain     stretches // the retention that is set, or nil
	read       uint64
	written    uint64
	traced     [][]byte
	tracedSize int
	size       int64 // of keys and values written
	record     []byte
	scratch    []byte
	newWho     uint32
	superseded int

	wrote, deletes, wroteBlock bool
	applied, replayed          bool
}

var _ engine.Tx = (*tx)(nil)

func (e *Engine) newTx(op *engine.Op) *tx {
	t, _ := e.transacted.Get().(*tx)
	if t == nil {
		t = &tx{}
		t.reader.e = e
	}
	t.op = op
	return t
}

// begin is called with the commit lock held.
func (t *tx) begin(v version, now time.Time) {
	t.version, t.now = v, now
	t.at = t.e.last.Load()
	t.active = t.e.hides.unrepaired()
	t.batch = t.e.db.NewBatch()
}

// maxKept bounds the buffers that an idle tx keeps.
const maxKept = 64 << 10

func (e *Engine) freeTx(t *tx) {
	t.end()
	if t.batch != nil {
		// It only goes back to Pebble's pool; what it did has been judged.
		_ = t.batch.Close()
	}
	t.recall.clear()
	t.keys.clear()
	*t = tx{
		reader:     reader{e: e, key: t.reader.key[:0], row: t.reader.row[:0]},
		firstKey:   t.firstKey[:0],
		firstValue: t.firstValue[:0],
		recall:     t.recall,
		keys:       t.keys,
		record:     t.record[:0],
		scratch:    t.scratch[:0],
	}
	if cap(t.firstValue)+cap(t.scratch)+cap(t.recall.bytes)+cap(t.keys.bytes) < 4*maxKept {
		e.transacted.Put(t)
	}
}

// refuse makes the transaction fail, also if fn drops the error.
func (t *tx) refuse(err error) error {
	if t.err == nil {
		t.err = err
	}
	return err
}

// Get returns the value of key in the state that the transaction builds on.
func (t *tx) Get(key []byte) ([]byte, bool, error) {
	if coveredBy(t.active, key) {
		return t.reader.Get(key)
	}
	raw, known := t.recall.find(key)
	if !known && t.e.gaps.contain(key) {
		return nil, false, nil
	}
	if !known {
		t.e.counters.keysRead.Add(1)
		var err error
		if raw, err = t.lookup(key); err != nil {
			return nil, false, err
		}
		raw = t.recall.keep(key, raw)
		t.release()
	}
	if raw == nil {
		return nil, false, nil
	}
	r, err := parseRow(raw)
	if err != nil {
		return nil, false, corruptKey(key, err)
	}
	return r.value, true, nil
}

// cached reads a row and sees that the next transaction finds it in the cache.
func (t *tx) cached(key []byte) ([]byte, error) {
	raw, err := t.present(key)
	if err == nil && raw != nil && t.held != nil {
		t.e.rows.put(key, raw)
	}
	return raw, err
}

// GetBatch reads several keys.
func (t *tx) GetBatch(keys [][]byte, each func(i int, value []byte) error) error {
	return getBatch(t, keys, each)
}

// Put gives key a value.
func (t *tx) Put(key, value []byte) error {
	if err := t.change(key, value); err != nil {
		return t.refuse(err)
	}
	if !t.hasFirst && !t.op.Trace {
		t.hasFirst = true
		t.firstKey = append(t.firstKey[:0], key...)
		t.firstValue = append(t.firstValue[:0], value...)
		return nil
	}
	if t.hasFirst && string(key) == string(t.firstKey) {
		t.firstValue = append(t.firstValue[:0], value...)
		return nil
	}
	t.set(key, &row{since: t.version, value: value})
	return nil
}

// Delete removes key.
func (t *tx) Delete(key []byte) error {
	if err := t.change(key, nil); err != nil {
		return t.refuse(err)
	}
	if t.hasFirst && string(key) == string(t.firstKey) {
		t.hasFirst = false
	}
	t.deletes = true
	op := t.batch.DeleteDeferred(1 + len(key))
	op.Key[0] = prefixData
	copy(op.Key[1:], key)
	return nil
}

// change checks a write and moves what is there to history.
func (t *tx) change(key, value []byte) error {
	if err := engine.CheckSize(key, value); err != nil {
		return err
	}
	if err := t.account(key, value); err != nil {
		return err
	}
	for _, h := range t.restores {
		if h.r.Contains(key) {
			return fmt.Errorf("key %q is restored by the same transaction", key)
		}
	}
	t.wrote = true
	t.keys.add(key)
	return t.supersede(key)
}

func (t *tx) account(key, value []byte) error {
	t.size += int64(len(key) + len(value))
	switch {
	case t.keys.len() >= engine.MaxWrites:
		return &engine.LimitError{What: "keys that a transaction writes", Size: engine.MaxWrites + 1, Limit: engine.MaxWrites}
	case t.size > engine.MaxTxBytes:
		return &engine.LimitError{What: "bytes that a transaction writes", Size: t.size, Limit: engine.MaxTxBytes}
	case t.batch.Len() > maxBatch:
		return &engine.LimitError{What: "bytes that a transaction writes and replaces", Size: int64(t.batch.Len()), Limit: maxBatch}
	}
	return nil
}

// supersede moves the present row of key, if there is one, to history.
func (t *tx) supersede(key []byte) error {
	if coveredBy(t.active, key) {
		s, err := t.repair(key)
		if err == nil && s.present {
			t.past(key, &s.row, t.version)
		}
		return err
	}
	if t.e.gaps.contain(key) {
		return nil
	}
	raw, known := t.recall.find(key)
	if !known {
		defer t.release()
		var err error
		if raw, err = t.lookup(key); err != nil {
			return err
		}
	}
	if raw == nil {
		return nil
	}
	r, err := parseRow(raw)
	if err != nil {
		return corruptKey(key, err)
	}
	t.past(key, &r, t.version)
	return nil
}

// past writes a row that ends at until. Its header goes along while no block
// has the record.
func (t *tx) past(key []byte, r *row, until version) {
	if r.flags&rowHeader != 0 && r.since <= t.e.log.written() {
		r.flags, r.header = r.flags&^rowHeader, nil
	}
	t.scratch = appendHistory(t.scratch[:0], key, until)
	op := t.batch.SetDeferred(len(t.scratch), r.size())
	copy(op.Key, t.scratch)
	r.put(op.Value)
	t.superseded++
}

// set writes a present row.
func (t *tx) set(key []byte, r *row) {
	t.e.gaps.cut(key)
	op := t.batch.SetDeferred(1+len(key), r.size())
	op.Key[0] = prefixData
	copy(op.Key[1:], key)
	r.put(op.Value)
}

// Count adds to the numbers of the provenance.
func (t *tx) Count(read, written int, keys ...[]byte) {
	t.read += uint64(max(read, 0))
	t.written += uint64(max(written, 0))
	if !t.op.Trace {
		return
	}
	for _, k := range keys {
		if t.tracedSize += len(k) + 2; t.tracedSize > engine.MaxTracedKB<<10 {
			return
		}
		t.traced = append(t.traced, append([]byte(nil), k...))
	}
}

// seal writes the record of the commit and what goes with it, and returns it. A
// transaction that leaves nothing else behind has its record only returned.
func (t *tx) seal() []byte {
	if t.e.bare {
		t.set(t.firstKey, &row{since: t.version, value: t.firstValue})
		return nil
	}
	c := commit{
		user: t.op.User, program: t.op.Program, name: t.op.Name, task: t.op.Task, id: t.op.ID,
		read: t.read, written: t.written, traced: t.op.Trace,
		skew: t.now.UnixMicro() - t.version.micros(),
	}
	silent := !t.wrote && t.op.ID == "" && !t.op.Trace
	if !silent {
		t.e.log.flush(t)
		c.who = t.introduce()
	} else {
		c.who = t.e.who.find(who{c.user, c.program, c.name})
	}
	t.record = c.append(t.record[:0])
	if silent {
		return t.record
	}
	if t.op.ID != "" {
		t.write(opKey(t.scratch[:0], t.op.ID), t.version.append(nil))
	}
	if t.hasFirst {
		t.set(t.firstKey, &row{since: t.version, flags: rowHeader, header: t.record, value: t.firstValue})
	} else {
		t.write(versionKey(prefixTrace, t.version), appendTrace(nil, t.record, t.traced))
	}
	return t.record
}

// introduce returns the number of who does this, 0 if there is to be none.
func (t *tx) introduce() uint32 {
	w := who{t.op.User, t.op.Program, t.op.Name}
	if n := t.e.who.find(w); n != 0 {
		return n
	}
	n := t.e.who.next()
	if n != 0 {
		t.newWho = n
		t.write(whoKey(n), w.encode())
	}
	return n
}

// write adds one of the engine's own entries to the batch.
func (t *tx) write(key, value []byte) {
	op := t.batch.SetDeferred(len(key), len(value))
	copy(op.Key, key)
	copy(op.Value, value)
}
