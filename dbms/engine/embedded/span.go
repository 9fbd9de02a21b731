package embedded

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// Pebble notes for each block, index block and table the span of the versions in
// it, so that a read of what changed after a version, or ended before one, skips
// the rest.
//
//	'd'            since
//	'h'            until
//	'o', 'c', 't'  version
//	anything else, and every tombstone but those of 'h': all versions
//
// A tombstone must be in no smaller span than what it deletes: a block that is
// skipped must not bring a deleted row back to light. A row that is written over
// may: its successor has a later version, and whoever asks for a span asks for
// an end, too, only in history, where nothing is written over.

const spanProperty = "tuplix.version"

type spanMapper struct{}

func newSpanCollector() sstable.BlockPropertyCollector {
	return sstable.NewBlockIntervalCollector(spanProperty, spanMapper{}, nil)
}

var allVersions = sstable.BlockInterval{Lower: 0, Upper: uint64(endVersion)}

// MapPointKey gives the span of one entry. Whatever it cannot read is in all
// spans: it is the reader's to complain.
func (spanMapper) MapPointKey(key pebble.InternalKey, value []byte) (sstable.BlockInterval, error) {
	k := key.UserKey
	if len(k) > versionSize && k[0] == prefixHistory {
		return spanOf(k[len(k)-versionSize:]), nil
	}
	if len(k) == 0 || key.Kind() != pebble.InternalKeyKindSet {
		return allVersions, nil
	}
	switch {
	case (k[0] == prefixData || k[0] == prefixOp) && len(value) >= versionSize:
		return spanOf(value), nil
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
