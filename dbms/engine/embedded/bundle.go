package embedded

import (
	"encoding/binary"
	"errors"
)

// A bundle is the rows that a group of transactions (group.go) has replaced or deleted, on
// their way to their keys in history (bundles.go). Its key is the last version of the group.
//
//	 0        1
//	├────────┼──────────────────────────────────────────────────────────
//	 format   each: length (uvarint) of a key of history, the key (layout.go);
//	          length of a row, the row (row.go)
//
// So one entry of Pebble's, always at the end, stands for what would be as many at places
// all over. Rows that are longer than bundledRow go to their keys at once, and so does what a
// transaction replaces beyond bundledBytes.
const (
	bundleFormat = 1

	bundledRow   = 1 << 10  // bytes
	bundledBytes = 64 << 10 // of one transaction
)

var errBundle = errors.New("malformed bundle of history")

// appendBundled adds a row, whose key in history is given, to a bundle.
func appendBundled(b, key []byte, r *row) []byte {
	b = append(binary.AppendUvarint(b, uint64(len(key))), key...)
	n := r.size()
	b = binary.AppendUvarint(b, uint64(n))
	b = append(b, make([]byte, n)...)
	r.put(b[len(b)-n:])
	return b
}

// nextBundled takes the first row from what is left of a bundle, without copying.
func nextBundled(b []byte) (key, row, rest []byte, err error) {
	d := decoder{rest: b}
	key, row = d.run(), d.run()
	if d.failed {
		return nil, nil, nil, errBundle
	}
	return key, row, d.rest, nil
}

// bundleKey is where the bundle of a group is.
func bundleKey(last version) []byte { return versionKey(prefixBundle, last) }
