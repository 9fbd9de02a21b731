package writelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// A log begins with a superblock in its first sector, then entries follow, each a
// header padded to one sector and the data written, if any. Little endian:
//
//	superblock                        entry
//	 0  8  magic 0x6a736677736872      0  8  first sector
//	 8  8  version, 1                  8  8  number of sectors
//	16  8  number of entries          16  8  flags
//	24  4  sector size in bytes       24  8  length of a mark's text
//
// Sectors are of the log's sector size. Data follows unless the entry is a
// discard; of a mark, its text follows, padded to a sector. Sources: Linux
// Documentation/admin-guide/device-mapper/log-writes.rst, drivers/md/dm-log-writes.c.
const (
	magic   = 0x6a736677736872
	version = 1

	superblockBytes = 28
	entryBytes      = 32

	// maxEntryBytes bounds the data of one entry: nobody sends larger requests.
	maxEntryBytes = 256 << 20
)

// Flags of an entry.
const (
	FlagFlush    = 1 << 0 // all writes completed before are durable, then this one is made
	FlagFUA      = 1 << 1 // this write is durable when it completes
	FlagDiscard  = 1 << 2 // the sectors were discarded
	FlagMark     = 1 << 3 // a text for the reader, no operation
	FlagMetadata = 1 << 4 // a hint

	knownFlags = FlagFlush | FlagFUA | FlagDiscard | FlagMark | FlagMetadata
)

// ErrFormat says that the log makes no sense.
var ErrFormat = errors.New("writelog: not a write log, or damaged")

// Entry is one operation of the log.
type Entry struct {
	Offset int64  // first byte of the device
	Length int64  // bytes
	Flags  uint64 // Flag...
	Data   []byte // what was written, or the text of a mark; nil otherwise
}

// Reader gives the entries of a log one after the other.
type Reader struct {
	r       io.ReaderAt
	sector  int64
	entries uint64
	at      int64
}

// NewReader reads the superblock of a log.
func NewReader(r io.ReaderAt) (*Reader, error) {
	var b [superblockBytes]byte
	if _, err := r.ReadAt(b[:], 0); err != nil {
		return nil, fmt.Errorf("%w: superblock: %w", ErrFormat, err)
	}
	le := binary.LittleEndian
	sector := int64(le.Uint32(b[24:]))
	if le.Uint64(b[0:]) != magic || le.Uint64(b[8:]) != version ||
		sector < 512 || sector > 64<<10 || sector&(sector-1) != 0 {
		return nil, fmt.Errorf("%w: superblock", ErrFormat)
	}
	return &Reader{r: r, sector: sector, entries: le.Uint64(b[16:]), at: sector}, nil
}

// SectorSize is the log's sector size in bytes.
func (r *Reader) SectorSize() int { return int(r.sector) }

// Next returns the next entry, or io.EOF after the last one that the superblock
// counts. QEMU updates that count at each flush.
func (r *Reader) Next() (Entry, error) {
	if r.entries == 0 {
		return Entry{}, io.EOF
	}
	r.entries--
	var b [entryBytes]byte
	if _, err := r.r.ReadAt(b[:], r.at); err != nil {
		return Entry{}, fmt.Errorf("%w: entry at %d: %w", ErrFormat, r.at, err)
	}
	e, payload, err := r.decode(&b)
	if err != nil {
		return Entry{}, err
	}
	if payload > 0 {
		if e.Data, err = r.read(r.at+r.sector, payload); err != nil {
			return Entry{}, err
		}
	}
	r.at += r.sector + (payload+r.sector-1)/r.sector*r.sector
	return e, nil
}

// decode gives the entry and how many bytes of data follow it.
func (r *Reader) decode(b *[entryBytes]byte) (e Entry, payload int64, err error) {
	le := binary.LittleEndian
	first, n, text := le.Uint64(b[0:]), le.Uint64(b[8:]), le.Uint64(b[24:])
	e.Flags = le.Uint64(b[16:])
	limit := uint64(math.MaxInt64 / r.sector)
	if e.Flags&^knownFlags != 0 || first > limit || n > limit-first {
		return e, 0, fmt.Errorf("%w: entry at %d", ErrFormat, r.at)
	}
	e.Offset, e.Length = int64(first)*r.sector, int64(n)*r.sector
	switch {
	case e.Flags&FlagMark != 0:
		payload = int64(min(text, maxEntryBytes+1))
	case e.Flags&FlagDiscard == 0:
		payload = e.Length
	}
	if payload > maxEntryBytes {
		return e, 0, fmt.Errorf("%w: entry at %d claims %d bytes", ErrFormat, r.at, payload)
	}
	return e, payload, nil
}

// read reads in steps, so that a false length costs no more than what is there.
func (r *Reader) read(off, n int64) ([]byte, error) {
	const step = 1 << 20
	var data []byte
	for n > 0 {
		k := min(n, step)
		data = append(data, make([]byte, k)...)
		if _, err := r.r.ReadAt(data[int64(len(data))-k:], off); err != nil {
			return nil, fmt.Errorf("%w: data at %d: %w", ErrFormat, off, err)
		}
		off, n = off+k, n-k
	}
	return data, nil
}
