package blockfs

import (
	"fmt"
	"slices"
	"sort"
	"sync"
)

// allocator knows the free blocks of the data area. Nothing of it is on the
// device: free is what no file owns, found out at loading.
//
// The free extents are kept sorted, merged and non-empty. A volume as Pebble
// makes it has some hundreds of them, so a slice with binary search does; a
// bitmap would cost 32 MiB of memory per TiB.
type allocator struct {
	mu   sync.Mutex
	free []extent
	left uint64 // blocks in free
}

// take removes want blocks, or less where they cannot be had, but at least
// need; nil if there are not so many. Blocks at hint are preferred, so that a
// file grows in one piece; then the largest hole.
func (a *allocator) take(need, want, hint uint64) []extent {
	a.mu.Lock()
	defer a.mu.Unlock()
	if need > a.left {
		return nil
	}
	var got []extent
	total := uint64(0)
	for total < want && len(a.free) > 0 {
		i := a.search(hint)
		if i == len(a.free) || a.free[i].start != hint {
			if total >= need {
				break // what is left to take is a wish, not worth a fragment
			}
			i = a.largest()
		}
		e := extent{a.free[i].start, min(a.free[i].count, want-total, maxExtentBlocks)}
		a.cut(i, e.count)
		got = append(got, e)
		total += e.count
		hint = e.end()
	}
	return got
}

// search finds the first free extent that starts at or after block.
func (a *allocator) search(block uint64) int {
	return sort.Search(len(a.free), func(i int) bool { return a.free[i].start >= block })
}

func (a *allocator) largest() int {
	best := 0
	for i, e := range a.free {
		if e.count > a.free[best].count {
			best = i
		}
	}
	return best
}

// cut takes n blocks off the front of free extent i.
func (a *allocator) cut(i int, n uint64) {
	a.left -= n
	if a.free[i].count == n {
		a.free = slices.Delete(a.free, i, i+1)
		return
	}
	a.free[i].start += n
	a.free[i].count -= n
}

// give returns extents. It panics when one is free already: two files would
// come to share it, and stopping is better.
func (a *allocator) give(extents []extent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range extents {
		a.giveOne(e)
	}
}

func (a *allocator) giveOne(e extent) {
	i := a.search(e.start)
	if i < len(a.free) && a.free[i].start < e.end() || i > 0 && a.free[i-1].end() > e.start {
		panic(fmt.Sprintf("blockfs: blocks %d to %d freed twice", e.start, e.end()))
	}
	a.left += e.count
	left := i > 0 && a.free[i-1].end() == e.start
	right := i < len(a.free) && a.free[i].start == e.end()
	switch {
	case left && right:
		a.free[i-1].count += e.count + a.free[i].count
		a.free = slices.Delete(a.free, i, i+1)
	case left:
		a.free[i-1].count += e.count
	case right:
		a.free[i].start = e.start
		a.free[i].count += e.count
	default:
		a.free = slices.Insert(a.free, i, e)
	}
}

// available gives the number of free blocks.
func (a *allocator) available() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.left
}

// complement builds the free extents of [start, end) from those in use, which it
// sorts. It fails when two overlap or one lies outside.
func complement(used []extent, start, end uint64) ([]extent, error) {
	slices.SortFunc(used, func(a, b extent) int {
		if a.start < b.start {
			return -1
		}
		return 1
	})
	var free []extent
	at := start
	for _, e := range used {
		if e.start < at || e.count == 0 || e.end() > end || e.end() < e.start {
			return nil, fmt.Errorf("%w: blocks %d to %d are used twice or not data blocks", ErrCorrupt, e.start, e.end())
		}
		if e.start > at {
			free = append(free, extent{at, e.start - at})
		}
		at = e.end()
	}
	if at < end {
		free = append(free, extent{at, end - at})
	}
	return free, nil
}
