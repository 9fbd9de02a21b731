package embedded

import (
	"bytes"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// apart says where Pebble's tables end, whatever else there is to say about it:
//
//   - Behind the present rows: with history in the same tables, a read of the newest
//     of many versions goes through larger indexes.
//   - Around ranges that are separated. A table that began before such a range and
//     ended behind it would overlap all that is in it, and every compaction of the
//     few rows of that table would write the many of the range once more.
type apart struct {
	bounds atomic.Pointer[[][]byte] // where tables end besides, ascending
}

var _ engine.Separator = (*Engine)(nil)

// Separate has the rows of a range lie in tables of their own.
func (e *Engine) Separate(r engine.Range) {
	low, high := dataBounds(r)
	for {
		old := e.apart.bounds.Load()
		next := [][]byte{low, high}
		if old != nil {
			next = append(next, *old...)
		}
		slices.SortFunc(next, bytes.Compare)
		next = slices.CompactFunc(next, bytes.Equal)
		if e.apart.bounds.CompareAndSwap(old, &next) {
			return
		}
	}
}

// policy is pebble.SpanPolicyFunc: it tells up to where one table may go from a key
// on.
func (a *apart) policy(first []byte) (policy pebble.SpanPolicy, end []byte, err error) {
	if len(first) > 0 && first[0] <= prefixData {
		end = []byte{prefixData + 1}
	}
	bounds := a.bounds.Load()
	if bounds == nil {
		return policy, end, nil
	}
	i, found := slices.BinarySearchFunc(*bounds, first, bytes.Compare)
	if found {
		i++
	}
	if i < len(*bounds) && (end == nil || bytes.Compare((*bounds)[i], end) < 0) {
		end = (*bounds)[i]
	}
	return policy, end, nil
}
