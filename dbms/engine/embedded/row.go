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
//	                 if flags has rowHeader
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

	rowFlags  = rowHeader | rowRestored
	rowFixed  = versionSize + 1
	maxHeader = 2 << 10
)

var errRow = errors.New("malformed row")

// size is how long the row is when written.
func (r *row) size() int {
	n := rowFixed + len(r.value)
	if r.flags&rowHeader != 0 {
		n += uvarintSize(uint64(len(r.header))) + len(r.header)
	}
	return n
}

// put writes the row to b, which has the row's size.
func (r *row) put(b []byte) {
	binary.BigEndian.PutUint64(b, uint64(r.since))
	b[versionSize] = r.flags
	b = b[rowFixed:]
	if r.flags&rowHeader != 0 {
		b = b[putText(b, r.header):]
	}
	copy(b, r.value)
}

// putText writes a length and bytes to b, and returns how many these are. Most are
// small records.
func putText(b, text []byte) int {
	if len(text) == smallCommit && len(b) > smallCommit {
		b[0], b[1], b[2] = smallCommit, text[0], text[1]
		return 1 + smallCommit
	}
	n := binary.PutUvarint(b, uint64(len(text)))
	return n + copy(b[n:], text)
}

// parseRow takes a stored row apart, without copying.
func parseRow(b []byte) (row, error) {
	if len(b) < rowFixed || b[versionSize]&^rowFlags != 0 {
		return row{}, errRow
	}
	r := row{since: readVersion(b), flags: b[versionSize], value: b[rowFixed:]}
	if r.flags&rowHeader == 0 {
		return r, nil
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
