package blockfs

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The journal of an area is a row of commits, each padded to whole sectors:
//
//	offset size
//	   0    4   magic "TPJ1"
//	   4    4   CRC-32C of volume id, then bytes 8 to 31, then the records
//	   8    8   generation, that of the area's header
//	  16    8   sequence: 1, 2, 3, ...
//	  24    4   bytes of records
//	  28    4   zero
//	  32    n   records
//
// Commit n+1 is written only when commit n has been flushed. So of the commits
// after a crash only the last can be torn, and a torn one was acknowledged to
// nobody. It follows that a bad commit with a good one of higher sequence after
// it is no crash but damage, and the volume is refused.
const (
	commitMagic       = "TPJ1"
	commitHeaderBytes = 32
)

// journalPosition is where the next commit goes.
type journalPosition struct {
	area       int
	generation uint64
	sequence   uint64
	offset     int64 // from the start of the journal
}

// commitSize is the room that n bytes of records take in the journal.
func (sb *superblock) commitSize(n int) int64 {
	return alignUp(commitHeaderBytes+int64(n), sb.sector)
}

// encodeCommit builds the commit of records for position p.
func (sb *superblock) encodeCommit(p journalPosition, records []byte) []byte {
	b := make([]byte, sb.commitSize(len(records)))
	le := binary.LittleEndian
	copy(b, commitMagic)
	le.PutUint64(b[8:], p.generation)
	le.PutUint64(b[16:], p.sequence)
	le.PutUint32(b[24:], uint32(len(records)))
	copy(b[commitHeaderBytes:], records)
	le.PutUint32(b[4:], sb.commitSum(b[8:commitHeaderBytes+len(records)]))
	return b
}

func (sb *superblock) commitSum(p []byte) uint32 {
	return crc32.Update(checksum(sb.id[:]), castagnoli, p)
}

// decodeCommit gives the records of the commit at the start of b, if that is a
// whole commit of the generation with at least the sequence asked for.
func (sb *superblock) decodeCommit(b []byte, generation, sequence uint64) (records []byte, found uint64, ok bool) {
	le := binary.LittleEndian
	if len(b) < commitHeaderBytes || string(b[:4]) != commitMagic ||
		le.Uint64(b[8:]) != generation || le.Uint64(b[16:]) < sequence {
		return nil, 0, false
	}
	n := int64(le.Uint32(b[24:]))
	if n > int64(len(b))-commitHeaderBytes {
		return nil, 0, false
	}
	if le.Uint32(b[4:]) != sb.commitSum(b[8:commitHeaderBytes+n]) {
		return nil, 0, false
	}
	return b[commitHeaderBytes : commitHeaderBytes+n], le.Uint64(b[16:]), true
}

// replay calls apply with the records of each commit of the generation, in
// order, and returns the position after the last.
func (sb *superblock) replay(journal []byte, p journalPosition, apply func([]byte) error) (journalPosition, error) {
	for {
		records, seq, ok := sb.decodeCommit(journal[p.offset:], p.generation, p.sequence)
		if !ok || seq != p.sequence {
			return p, sb.noneBeyond(journal, p)
		}
		if err := apply(records); err != nil {
			return p, fmt.Errorf("journal commit %d: %w", seq, err)
		}
		p.sequence++
		p.offset += sb.commitSize(len(records))
	}
}

// noneBeyond makes sure that no commit follows the place where replay ended.
func (sb *superblock) noneBeyond(journal []byte, p journalPosition) error {
	for off := p.offset; off < int64(len(journal)); off += sb.sector {
		if _, seq, ok := sb.decodeCommit(journal[off:], p.generation, p.sequence); ok {
			return fmt.Errorf("%w: journal commit %d is bad, but commit %d is there", ErrCorrupt, p.sequence, seq)
		}
	}
	return nil
}
