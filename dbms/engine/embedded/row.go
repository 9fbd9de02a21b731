package embedded

import (
	"encoding/binary"
	"errors"
)

// row is one version of a key as it is stored, in the present and in the past.
//
//	 0        8     9
//	├────────┼─────┼───────────────────────────┼───────────
//	 since    flags  length (uvarint), header     value
//	                 if flags has rowHeader,
//	                 header of 2 bytes
//	                 if flags has rowSmall
//
// since is the transaction that wrote it, or the restore that brought it back.
// The header is the record of that transaction (commit.go): of each small
// transaction, one row carries it until a block of commits does.
type row struct {
	since  version
	flags  byte
	header []byte
	value  []byte
}

const (
	rowHeader   = 1 << 0 // a header follows
	rowRestored = 1 << 1 // a copy of an older row, made for a restore
	rowSmall    = 1 << 2 // a header follows that is a small record

	rowRecord = rowHeader | rowSmall // never both
	rowFlags  = rowHeader | rowRestored | rowSmall
	rowFixed  = versionSize + 1
	maxHeader = 2 << 10
)

var errRow = errors.New("malformed row")

// size is how long the row is when written.
func (r *row) size() int {
	n := rowFixed + len(r.value) + len(r.header)
	if r.flags&rowHeader != 0 {
		n += uvarintSize(uint64(len(r.header)))
	}
	return n
}

// headed is the flag of a row with such a header.
func headed(record []byte) byte {
	if len(record) == smallCommit {
		return rowSmall
	}
	return rowHeader
}

// put writes the row to b, which has the row's size.
func (r *row) put(b []byte) {
	binary.BigEndian.PutUint64(b, uint64(r.since))
	b[versionSize] = r.flags
	b = b[rowFixed:]
	switch r.flags & rowRecord {
	case rowSmall:
		binary.LittleEndian.PutUint16(b, binary.LittleEndian.Uint16(r.header))
		b = b[smallCommit:]
	case rowHeader:
		n := binary.PutUvarint(b, uint64(len(r.header)))
		b = b[n+copy(b[n:], r.header):]
	}
	copy(b, r.value)
}

// parseRow takes a stored row apart, without copying.
func parseRow(b []byte) (row, error) {
	if len(b) < rowFixed || b[versionSize]&^rowFlags != 0 {
		return row{}, errRow
	}
	r := row{since: readVersion(b), flags: b[versionSize], value: b[rowFixed:]}
	switch r.flags & rowRecord {
	case 0:
		return r, nil
	case rowSmall:
		if len(r.value) < smallCommit {
			return row{}, errRow
		}
		r.header, r.value = r.value[:smallCommit], r.value[smallCommit:]
		return r, nil
	case rowRecord:
		return row{}, errRow
	}
	n, k := binary.Uvarint(r.value)
	if k <= 0 || n > maxHeader || n > uint64(len(r.value)-k) {
		return row{}, errRow
	}
	r.header, r.value = r.value[k:k+int(n)], r.value[k+int(n):]
	return r, nil
}

// uvarintSize is how many bytes a number takes as a uvarint.
func uvarintSize(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}
