package embedded

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// Pebble notes for each block, index block and table the span of the versions in
// it, so that a read of what changed after a version, or ended before one, skips
// the rest.
//
//	'd'            since, which is not in the key: up to the newest version when the
//	               block is written
//	'h'            until
//	'c', 't'       version
//	anything else, and every tombstone but those of 'h': all versions
//
// Pebble (v2.1.7, sstable/colblk_writer.go) does not show the values of rows to who notes
// properties, as it need not have read them. So of the present a read of what changed after
// a version skips what has lain untouched since before it, and reads what a compaction
// has rewritten meanwhile. What is written while the store is being opened is of unknown age.
//
// A tombstone must be in no smaller span than what it deletes: a block that is
// skipped must not bring a deleted row back to light. A row that is written over
// may: its successor has a later version, and whoever asks for a span asks for
// an end, too, only in history, where nothing is written over. A compaction may write it
// again, into a block of later versions than its successor's, which then is skipped: both
// are no later than what was asked for, and who asks drops what it finds of the kind.

const spanProperty = "tuplix.version"

// spanMapper tells spans while an engine is open, which may be nil.
type spanMapper struct{ e *Engine }

// newest is the newest version of a row that may be in Pebble by now; zero while that is
// not known. Of a group it is known before it is published, of a load (load.go) after.
func (m spanMapper) newest() version {
	if m.e == nil {
		return 0
	}
	started := m.e.started.Load()
	if started == 0 {
		return 0
	}
	return max(started, m.e.last.Load())
}

// collector makes collectors for tables of rows that are in Pebble already.
func (m spanMapper) collector() sstable.BlockPropertyCollector {
	return sstable.NewBlockIntervalCollector(spanProperty, m, nil)
}

var allVersions = sstable.BlockInterval{Lower: 0, Upper: uint64(endVersion)}

// MapPointKey gives the span of one entry. Whatever it cannot read is in all
// spans: it is the reader's to complain.
func (m spanMapper) MapPointKey(key pebble.InternalKey, _ []byte) (sstable.BlockInterval, error) {
	k := key.UserKey
	if len(k) > versionSize && k[0] == prefixHistory {
		return spanOf(k[len(k)-versionSize:]), nil
	}
	if len(k) == 0 || key.Kind() != pebble.InternalKeyKindSet {
		return allVersions, nil
	}
	switch {
	case k[0] == prefixData:
		if v := m.newest(); v != 0 {
			return sstable.BlockInterval{Lower: 0, Upper: uint64(v) + 1}, nil
		}
	case (k[0] == prefixCommits || k[0] == prefixTrace) && len(k) == 1+versionSize:
		return spanOf(k[1:]), nil
	}
	return allVersions, nil
}

func spanOf(b []byte) sstable.BlockInterval {
	v := uint64(readVersion(b))
	if v >= uint64(endVersion)-1 {
		return allVersions
	}
	return sstable.BlockInterval{Lower: v, Upper: v + 1}
}

// MapRangeKeys is for range keys, of which there are none.
func (spanMapper) MapRangeKeys(sstable.Span) (sstable.BlockInterval, error) { return allVersions, nil }

// within is a filter for blocks that may hold versions from low to before high.
// The capacity is for what Pebble adds.
func within(low, high version) []pebble.BlockPropertyFilter {
	f := make([]pebble.BlockPropertyFilter, 1, 2)
	f[0] = sstable.NewBlockIntervalFilter(spanProperty, uint64(low), uint64(high), nil)
	return f
}
