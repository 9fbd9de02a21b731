package embedded

import (
	"encoding/binary"
	"errors"
)

// A block holds the records of many transactions, in the order of their versions.
// Its key is the version of the last.
//
//	 0        1
//	├────────┼────────────────────────────────────────────────────────────
//	 format   each: version less that of the one before (uvarint; the first
//	          less 0), length of the record (uvarint), record; or length 0,
//	          of a record like the one before, where that is a small one
//
// Every transaction is in one block, in the end. Until then its record lies in
// the header of one of its rows; or, if it has put none or is traced, in a trace:
//
//	 0        1
//	├────────┼──────────────────────────────────────────────────────────
//	 format   length of the record (uvarint), record, keys: each its length
//	          (uvarint) and bytes
const (
	blockFormat = 1
	traceFormat = 1

	blockCommits = 512      // commits after which a block is written,
	blockBytes   = 32 << 10 // or bytes
)

var errBlock = errors.New("malformed block of commits")

// block is put together in memory until it is written.
type block struct {
	bytes []byte
	last  version
	count int
	small uint16 // the last record if that is a small one; else, and where there is none, 0
}

// add appends a record, whose version is later than all before.
func (b *block) add(v version, record []byte) {
	small := uint16(0)
	if len(record) == smallCommit && record[0]&commitSmall != 0 {
		small = binary.LittleEndian.Uint16(record)
	}
	if b.repeats(v, small) {
		b.repeat(v)
		return
	}
	if b.count == 0 {
		b.bytes, b.last = append(b.bytes[:0], blockFormat), 0
	}
	b.bytes = binary.AppendUvarint(b.bytes, uint64(v-b.last))
	b.bytes = binary.AppendUvarint(b.bytes, uint64(len(record)))
	b.bytes = append(b.bytes, record...)
	b.last, b.small = v, small
	b.count++
}

// repeats tells whether repeat can add a small record, or 0 for one that is not small.
func (b *block) repeats(v version, small uint16) bool {
	return small == b.small && small != 0 && v-b.last < 1<<21 && cap(b.bytes)-len(b.bytes) >= 4
}

// repeat adds a record like the one before. The step has three bytes, whatever it is:
// what most transactions come by does not branch.
func (b *block) repeat(v version) {
	step, n := uint32(v-b.last), len(b.bytes)
	b.bytes = b.bytes[:n+4]
	binary.LittleEndian.PutUint32(b.bytes[n:], 0x8080|step&0x7f|step>>7&0x7f<<8|step>>14<<16)
	b.last = v
	b.count++
}

func (b *block) full() bool { return b.count >= blockCommits || len(b.bytes) >= blockBytes }

func (b *block) clear() { *b = block{bytes: b.bytes[:0]} }

// parseBlock calls each for the records of a block.
func parseBlock(b []byte, each func(v version, record []byte) error) error {
	d := decoder{rest: b}
	if d.byte() != blockFormat {
		return errBlock
	}
	var record []byte
	for v := noVersion; len(d.rest) > 0; {
		step := version(d.uvarint())
		if own := d.run(); len(own) > 0 {
			record = own
		}
		if d.failed || step == 0 || v+step < v || len(record) == 0 {
			return errBlock
		}
		v += step
		if err := each(v, record); err != nil {
			return err
		}
	}
	if d.failed {
		return errBlock
	}
	return nil
}

func appendTrace(b, record []byte, keys [][]byte) []byte {
	b = append(b, traceFormat)
	b = append(binary.AppendUvarint(b, uint64(len(record))), record...)
	for _, k := range keys {
		b = append(binary.AppendUvarint(b, uint64(len(k))), k...)
	}
	return b
}

func parseTrace(b []byte) (record []byte, keys [][]byte, err error) {
	d := decoder{rest: b}
	format := d.byte()
	record = d.run()
	for len(d.rest) > 0 {
		keys = append(keys, d.run())
	}
	if d.failed || format != traceFormat {
		return nil, nil, errBlock
	}
	return record, keys, nil
}
