package embedded

import (
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// keptIters are iterators over all rows, present and past, that wait for the next
// read of the past. Making one costs more than a read does, and it need not be a
// new one: what it shows of a version that was complete when it was made stays
// true. Only a repaired restore ends that, since who comes after the repair does
// not look at the restore any more (repair.go).
//
// An iterator pins memory and files that Pebble could let go of after a flush or
// a compaction, so those end the idle ones, too.
type keptIters struct {
	e      *Engine
	age    atomic.Uint64 // of those that may be used; it rises to end all others
	mu     sync.Mutex
	idle   []*keptIter
	closed bool
	sweeps sync.WaitGroup
}

// keptIter is one of them. Its Close gives it back.
type keptIter struct {
	*pebble.Iterator
	from *keptIters
	upTo version // it shows all transactions up to this one
	age  uint64
}

const maxIdleIters = 8

// take returns an iterator that shows all transactions up to t, and whether it
// was made just now.
func (k *keptIters) take(t version) (it *keptIter, fresh bool, err error) {
	if it = k.pick(t); it != nil {
		return it, false, nil
	}
	it = &keptIter{from: k, age: k.age.Load(), upTo: k.e.last.Load()} // before it is made
	it.Iterator, err = k.e.db.NewIter(&pebble.IterOptions{
		LowerBound: []byte{prefixData}, UpperBound: []byte{prefixHistory + 1},
	})
	return it, true, storage(err)
}

func (k *keptIters) pick(t version) *keptIter {
	age := k.age.Load()
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := len(k.idle) - 1; i >= 0; i-- {
		if it := k.idle[i]; it.upTo >= t && it.age == age {
			last := len(k.idle) - 1
			k.idle[i], k.idle[last] = k.idle[last], nil
			k.idle = k.idle[:last]
			return it
		}
	}
	return nil
}

// Close puts the iterator back, if somebody can still use it. Of those that are
// too many, the oldest goes: whatever it is good for, the others are.
func (it *keptIter) Close() error {
	k := it.from
	if it.Error() != nil || it.age != k.age.Load() {
		return it.Iterator.Close()
	}
	k.mu.Lock()
	if !k.closed {
		k.idle = append(k.idle, it)
		it = nil
		if len(k.idle) > maxIdleIters {
			it = k.removeOldest()
		}
	}
	k.mu.Unlock()
	if it == nil {
		return nil
	}
	return it.Iterator.Close()
}

func (k *keptIters) removeOldest() *keptIter {
	oldest, last := 0, len(k.idle)-1
	for i, it := range k.idle {
		if it.upTo < k.idle[oldest].upTo {
			oldest = i
		}
	}
	it := k.idle[oldest]
	k.idle[oldest], k.idle[last] = k.idle[last], nil
	k.idle = k.idle[:last]
	return it
}

// retire ends the use of all that were made before.
func (k *keptIters) retire() { k.age.Add(1) }

// sweep retires them and closes the idle ones, on a goroutine of its own: Pebble
// calls this with its lock held.
func (k *keptIters) sweep() {
	k.retire()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed && len(k.idle) > 0 {
		k.sweeps.Go(k.drop)
	}
}

// drop closes the idle ones. What closing reports is of no use to anybody: what
// the iterator has shown is judged already.
func (k *keptIters) drop() {
	k.mu.Lock()
	idle := k.idle
	k.idle = nil
	k.mu.Unlock()
	for _, it := range idle {
		_ = it.Iterator.Close()
	}
}

// close drops them, and all that are given back later.
func (k *keptIters) close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.sweeps.Wait()
	k.drop()
}
