package embedded

import (
	"bytes"
	"errors"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Keys in Pebble, by their first byte. Numbers are big-endian.
//
//	'b' version(8)                       bundle of history up to version                  (bundle.go)
//	'c' version(8)                       block of commits, the last of which is version   (block.go)
//	'd' key                              the present row of key                           (row.go)
//	'h' escaped key, 00 01, until(8)     a row of the past, which ended at until          (row.go)
//	'm' 'f'                              format                                           (format.go)
//	'm' 'h' until(8) index(1)            a restore                                        (hide.go)
//	'm' 'n'                              counts at the last close                         (format.go)
//	'm' 'r'                              retention and horizons                           (retain.go)
//	'm' 'w' number(4)                    a user, program and procedure                    (who.go)
//	'o' id                               version(8) of the operation with that ID
//	't' version(8)                       record of a commit that has no row to ride on    (block.go)
//
// In an escaped key each 00 is written 00 ff, so that the order of escaped keys
// with their terminator 00 01 is that of the keys.
const (
	prefixBundle  = 'b'
	prefixCommits = 'c'
	prefixData    = 'd'
	prefixHistory = 'h'
	prefixMeta    = 'm'
	prefixOp      = 'o'
	prefixTrace   = 't'

	metaFormat    = 'f'
	metaHide      = 'h'
	metaCounts    = 'n'
	metaRetention = 'r'
	metaWho       = 'w'
)

const (
	escape      = 0x00
	escapedZero = 0xff
	terminator  = 0x01
)

var errKey = errors.New("malformed key")

// appendData is where the present row of key is.
func appendData(b, key []byte) []byte { return append(append(b, prefixData), key...) }

// appendEscaped writes key without a terminator. It is the bound in history that
// corresponds to the bound key: a shorter or smaller key is before it, terminator
// included.
func appendEscaped(b, key []byte) []byte {
	b = append(b, prefixHistory)
	for {
		i := bytes.IndexByte(key, escape)
		if i < 0 {
			return append(b, key...)
		}
		b = append(append(b, key[:i]...), escape, escapedZero)
		key = key[i+1:]
	}
}

// appendGroup is what the history keys of key begin with.
func appendGroup(b, key []byte) []byte { return append(appendEscaped(b, key), escape, terminator) }

// appendGroupEnd is after all history keys of key.
func appendGroupEnd(b, key []byte) []byte { return append(appendEscaped(b, key), escape, terminator+1) }

// appendHistory is where the row of key that ended at until is.
func appendHistory(b, key []byte, until version) []byte { return until.append(appendGroup(b, key)) }

// splitHistory takes a history key apart; the escaped key includes its
// terminator.
func splitHistory(b []byte) (group []byte, until version, err error) {
	n := len(b) - versionSize
	if n < 3 || b[0] != prefixHistory || b[n-2] != escape || b[n-1] != terminator {
		return nil, 0, errKey
	}
	return b[:n], readVersion(b[n:]), nil
}

// appendUnescaped undoes appendGroup.
func appendUnescaped(b, group []byte) ([]byte, error) {
	if len(group) < 3 || group[0] != prefixHistory {
		return b, errKey
	}
	for rest := group[1:]; ; {
		i := bytes.IndexByte(rest, escape)
		if i < 0 || i+1 >= len(rest) {
			return b, errKey
		}
		b = append(b, rest[:i]...)
		switch {
		case rest[i+1] == escapedZero:
			b = append(b, escape)
			rest = rest[i+2:]
		case rest[i+1] == terminator && i+2 == len(rest):
			return b, nil
		default:
			return b, errKey
		}
	}
}

// dataBounds are the Pebble keys of the present rows of r.
func dataBounds(r engine.Range) (low, high []byte) {
	low = appendData(nil, r.Low)
	if r.High == nil {
		return low, []byte{prefixData + 1}
	}
	return low, appendData(nil, r.High)
}

// historyBounds are the Pebble keys of the past rows of r.
func historyBounds(r engine.Range) (low, high []byte) {
	low = appendEscaped(nil, r.Low)
	if r.High == nil {
		return low, []byte{prefixHistory + 1}
	}
	return low, appendEscaped(nil, r.High)
}

// versionKey is a key of the commits or traces.
func versionKey(prefix byte, v version) []byte { return v.append([]byte{prefix}) }

// opKey is where the version of an operation is.
func opKey(b []byte, id string) []byte { return append(append(b, prefixOp), id...) }

func metaKey(kind byte) []byte { return []byte{prefixMeta, kind} }
