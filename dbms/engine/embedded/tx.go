package embedded

import (
	"encoding/binary"
	"fmt"

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
	running

	// What stays for the next transaction, emptied.

	batch  *pebble.Batch // nil if it has gone to a group
	author author

	recordRoom [16]byte // where record begins, as most fit

	// The first row that is put waits for the end, when the record of the commit
	// is known that it carries.
	firstKey, firstValue []byte
	firstHash            uint64

	recall  recall // rows that were read, which a Put need not read again
	keys    keyList
	hashes  []uint64 // of the keys
	gone    []int    // of the keys, those that are deleted
	record  []byte
	scratch []byte

	bundle  []byte   // rows that it replaces or deletes, on their way to history
	bundled []uint64 // hashes of their keys
}

// running is what belongs to one transaction only.
type running struct {
	op         *engine.Op
	version    version
	after      version     // of a transaction that writes nothing: the last that did
	now        int64       // the wall clock, in microseconds since 1970
	err        error       // of a Put or the like: the transaction must not commit
	group      *group      // if somebody waits until it is durable
	observed   []*observer // who is to hear that it is committed
	restores   []*hide
	retain     stretches // the retention that is set, or nil
	read       uint64
	written    uint64
	traced     [][]byte
	tracedSize int
	size       int64 // of keys and values written
	grown      int64 // by how much the present gets larger
	ended      int64 // bytes of rows that went to history
	newWho     uint32
	small      uint16 // the record of the commit, if that is a small one
	superseded int
	cacheHits  int // rows that were in the cache

	hasFirst                   bool
	firstThere                 bool // there is a row that it replaces
	due                        bool // its group is to be applied now
	wrote, deletes, wroteBlock bool
	replayed                   bool
}

var _ engine.Tx = (*tx)(nil)

func (e *Engine) newTx(op *engine.Op) *tx {
	t, _ := e.transacted.Get().(*tx)
	if t == nil {
		t = &tx{}
		t.reader.e, t.recalls = e, &t.recall
		t.record = t.recordRoom[:0]
	}
	t.op = op
	return t
}

// begin is called with the commit lock held.
func (t *tx) begin(v version, now int64) {
	t.version, t.now = v, now
	t.at = t.e.groups.newest.Load()
	t.active = t.e.hides.unrepaired()
	if t.batch == nil {
		t.batch = t.e.db.NewBatch()
	}
}

// maxKept bounds the buffers that an idle tx keeps.
const maxKept = 64 << 10

func (e *Engine) freeTx(t *tx) {
	t.end()
	t.active = nil
	t.recall.clear()
	t.keys.clear()
	t.hashes = t.hashes[:0]
	t.gone = t.gone[:0]
	t.bundle, t.bundled = t.bundle[:0], t.bundled[:0]
	if t.newWho != 0 {
		t.author.number = 0 // it may have failed: the table knows
	}
	t.running = running{}
	if t.batch != nil && t.batch.Len() < maxKept {
		t.batch.Reset()
	} else {
		t.batch = nil
	}
	if cap(t.firstValue)+cap(t.scratch)+cap(t.bundle)+cap(t.recall.bytes)+cap(t.keys.bytes) < 16*maxKept {
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
		if err := t.ground(); err != nil {
			return nil, false, err
		}
		return t.reader.Get(key)
	}
	var raw []byte
	if it := t.recall.find(key); it != nil {
		raw = it.row
	} else if !t.e.gaps.contain(key) {
		t.e.counters.keysRead.Add(1)
		h := hash(key)
		var err error
		if raw, err = t.lookup(key, h); err != nil {
			return nil, false, err
		}
		raw = t.recall.keep(key, raw, h, t.held != nil)
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

// cached reads a row by way of the cache. Of one that is not there, held is set.
func (t *tx) cached(key []byte, hash uint64) ([]byte, error) {
	if raw := t.fromCache(key, hash); raw != nil {
		t.cacheHits++
		return raw, nil
	}
	if t.e.groups.keys.mayHave(hash) {
		if err := t.ground(); err != nil {
			return nil, err
		}
	}
	return t.stored(key)
}

// GetBatch reads several keys.
func (t *tx) GetBatch(keys [][]byte, each func(i int, value []byte) error) error {
	return getBatch(t, keys, each)
}

// Put gives key a value.
func (t *tx) Put(key, value []byte) error {
	there, err := t.change(key, value)
	if err != nil {
		return t.refuse(err)
	}
	t.grown += int64(len(key) + len(value))
	if !t.hasFirst && !t.op.Trace {
		t.hasFirst, t.firstThere, t.firstHash = true, there, t.hashes[len(t.hashes)-1]
		t.firstKey = append(t.firstKey[:0], key...)
		t.firstValue = append(t.firstValue[:0], value...)
		return nil
	}
	if t.hasFirst && string(key) == string(t.firstKey) {
		t.firstValue = append(t.firstValue[:0], value...)
		return nil
	}
	if !there {
		t.e.gaps.cut(key)
	}
	t.store(key, &row{since: t.version, value: value})
	return nil
}

// Delete removes key.
func (t *tx) Delete(key []byte) error {
	if _, err := t.change(key, nil); err != nil {
		return t.refuse(err)
	}
	if t.hasFirst && string(key) == string(t.firstKey) {
		t.hasFirst = false
	}
	t.deletes = true
	t.gone = append(t.gone, t.keys.len()-1)
	op := t.batch.DeleteDeferred(1 + len(key))
	op.Key[0] = prefixData
	copy(op.Key[1:], key)
	return nil
}

// change checks a write and moves what is there to history. It tells whether something
// was there for sure.
func (t *tx) change(key, value []byte) (there bool, err error) {
	if err := engine.CheckSize(key, value, t.e.opts.MaxValue); err != nil {
		return false, err
	}
	if err := t.account(key, value); err != nil {
		return false, err
	}
	for _, h := range t.restores {
		if h.r.Contains(key) {
			return false, fmt.Errorf("key %q is restored by the same transaction", key)
		}
	}
	t.wrote = true
	if coveredBy(t.active, key) {
		t.note(key, hash(key))
		return false, t.supersedeHidden(key)
	}
	if it := t.recall.find(key); it != nil {
		t.note(key, it.hash)
		return it.row != nil, t.supersede(key, it.row, it.hash)
	}
	h := hash(key)
	t.note(key, h)
	if t.e.gaps.contain(key) {
		return false, nil
	}
	defer t.release()
	raw, err := t.lookup(key, h)
	if err != nil {
		return false, err
	}
	return raw != nil, t.supersede(key, raw, h)
}

// note remembers a key that is written.
func (t *tx) note(key []byte, hash uint64) {
	t.keys.add(key)
	t.hashes = append(t.hashes, hash)
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

// supersedeHidden moves the present row of a key, of which a restore is not repaired,
// to history.
func (t *tx) supersedeHidden(key []byte) error {
	if err := t.ground(); err != nil {
		return err
	}
	s, err := t.repair(key)
	if err == nil && s.present {
		t.past(key, &s.row, t.version)
	}
	return err
}

// supersede has the present row of key, nil if there is none, go to history.
func (t *tx) supersede(key, raw []byte, hash uint64) error {
	if raw == nil {
		return nil
	}
	r, err := parseRow(raw)
	if err != nil {
		return corruptKey(key, err)
	}
	if r.size() > bundledRow || len(t.bundle) > bundledBytes || !t.e.bundles.takes() {
		t.past(key, &r, t.version)
		return nil
	}
	t.ends(key, &r, t.version)
	t.bundle = appendBundled(t.bundle, t.scratch, &r)
	t.bundled = append(t.bundled, hash)
	return nil
}

// past writes a row that ends at until to its key in history.
func (t *tx) past(key []byte, r *row, until version) {
	t.ends(key, r, until)
	if b := &t.e.bundles; !b.direct.Load() {
		b.direct.Store(true)
	}
	op := t.batch.SetDeferred(len(t.scratch), r.size())
	copy(op.Key, t.scratch)
	r.put(op.Value)
}

// ends makes the key in history of a row that ends at until, and counts it. Its header
// goes along while no block has the record.
func (t *tx) ends(key []byte, r *row, until version) {
	if r.flags&rowRecord != 0 && r.since <= t.e.log.written() {
		r.flags, r.header = r.flags&^rowRecord, nil
	}
	t.scratch = appendHistory(t.scratch[:0], key, until)
	t.grown -= int64(len(key) + len(r.value))
	t.ended += int64(len(t.scratch) + r.size())
	t.superseded++
}

// set writes a present row.
func (t *tx) set(key []byte, r *row) {
	t.e.gaps.cut(key)
	t.store(key, r)
}

// store is set for a key that is in no gap.
func (t *tx) store(key []byte, r *row) {
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

// seal makes the record of the commit, and writes it and what goes with it; not of
// a transaction that leaves nothing else behind.
func (t *tx) seal() {
	if t.hasFirst && !t.firstThere {
		t.e.gaps.cut(t.firstKey)
	}
	if t.e.bare {
		t.storeFirst()
		return
	}
	// What most transactions come by is short, and has no memory of its own.
	if t.plain() && t.hasFirst && !t.e.log.block.full() && t.author.runs(t.op) && isSmall(t.author.number, t.read, t.written) {
		t.small = smallRecord(t.author.number, t.read, t.written)
		t.storeFirst()
		return
	}
	t.sealFull()
}

// plain tells whether there is nothing to record but who ran it and the counts.
func (t *tx) plain() bool {
	return t.now == t.version.micros() && t.op.Task == "" && t.op.ID == "" && !t.op.Trace
}

// sealFull is the rest of seal for any transaction.
func (t *tx) sealFull() {
	silent := !t.wrote && t.op.ID == "" && !t.op.Trace
	if !silent {
		t.e.log.flush(t)
	}
	if !t.author.runs(t.op) {
		t.author.of(t.op, t.e.who)
		if t.author.number == 0 && !silent {
			t.introduce()
		}
	}
	if t.plain() && isSmall(t.author.number, t.read, t.written) {
		t.small = smallRecord(t.author.number, t.read, t.written)
	} else {
		t.addFullRecord()
	}
	if silent {
		return
	}
	if t.op.ID != "" {
		t.write(opKey(t.scratch[:0], t.op.ID), t.version.append(nil))
	}
	if t.hasFirst {
		t.store(t.firstKey, t.firstRow())
	} else {
		t.write(versionKey(prefixTrace, t.version), appendTrace(nil, t.commitRecord(), t.traced))
	}
}

// firstRow is the row that carries the record.
func (t *tx) firstRow() *row {
	record := t.commitRecord()
	return &row{since: t.version, flags: headed(record), header: record, value: t.firstValue}
}

// commitRecord is the record of the commit, once it is made.
func (t *tx) commitRecord() []byte {
	if t.small != 0 {
		t.record = appendSmall(t.record[:0], t.small)
	}
	return t.record
}

// storeFirst is store of the first row with the small record, if there is one.
func (t *tx) storeFirst() {
	key, value, flags, head := t.firstKey, t.firstValue, byte(0), rowFixed
	if t.small != 0 {
		flags, head = rowSmall, rowFixed+smallCommit
	}
	op := t.batch.SetDeferred(1+len(key), head+len(value))
	op.Key[0] = prefixData
	copy(op.Key[1:], key)
	b := op.Value
	binary.BigEndian.PutUint64(b, uint64(t.version))
	b[versionSize] = flags
	if t.small != 0 {
		binary.LittleEndian.PutUint16(b[rowFixed:], t.small)
	}
	copy(b[head:], value)
}

// addFullRecord makes the record of a commit that is not small.
func (t *tx) addFullRecord() {
	c := commit{
		who: t.author.number, user: t.op.User, program: t.op.Program, name: t.op.Name, task: t.op.Task, id: t.op.ID,
		read: t.read, written: t.written, skew: t.now - t.version.micros(), traced: t.op.Trace,
	}
	t.record = c.append(t.record[:0])
}

// introduce gives the author a number, if there is to be one.
func (t *tx) introduce() {
	if n := t.e.who.next(); n != 0 {
		t.author.number, t.newWho = n, n
		t.write(whoKey(n), t.author.encode())
	}
}

// write adds one of the engine's own entries to the batch.
func (t *tx) write(key, value []byte) {
	op := t.batch.SetDeferred(len(key), len(value))
	copy(op.Key, key)
	copy(op.Value, value)
}
