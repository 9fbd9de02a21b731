package task

import (
	"context"
	"errors"
	"sync"

	"github.com/tuplix/tuplix/dbms/table"
)

// Numbers of tasks, workers and leases are taken from blocks that are reserved by
// a transaction of their own, so that procedures need not count. Those of a block
// that were not given when the machine went down are never given.
const numberBlock = 4096

// Names of counters.
const (
	countTasks   = "task"
	countWorkers = "worker"
	countLeases  = "lease"
)

type numbers struct {
	s       *Service
	filling sync.Mutex // held during the transaction, which may wait for procedures that take numbers

	mu     sync.Mutex
	blocks [3]struct{ next, end, spare uint64 } // spare is the first of another block, 0 if there is none
}

var counters = [3]string{countTasks, countWorkers, countLeases}

// Places in numbers.blocks.
const (
	ofTasks = iota
	ofWorkers
	ofLeases
)

// take returns a number of a block, or false if all are used up.
func (n *numbers) take(of int) (uint64, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := &n.blocks[of]
	if b.next == b.end && b.spare != 0 {
		b.next, b.end, b.spare = b.spare, b.spare+numberBlock, 0
	}
	if b.next == b.end {
		return 0, false
	}
	b.next++
	return b.next - 1, true
}

// last is a number below which all are given, the largest that is known.
func (n *numbers) last(of int) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.blocks[of].next
}

// short reports whether a block should be added.
func (n *numbers) short(of int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := &n.blocks[of]
	return b.spare == 0 && b.end-b.next <= numberBlock/4
}

// fill sees that there are numbers.
func (n *numbers) fill(ctx context.Context, of int) error {
	if !n.short(of) {
		return nil
	}
	n.filling.Lock()
	defer n.filling.Unlock()
	if !n.short(of) {
		return nil
	}
	var first uint64
	_, err := n.s.store.Update(ctx, system.Op("task.Number"), func(tx *table.Tx) (err error) {
		first, err = advance(tx, counters[of], numberBlock)
		return err
	})
	if err == nil {
		n.mu.Lock()
		n.blocks[of].spare = first
		n.mu.Unlock()
	}
	return err
}

// takeIn returns a number within a transaction, which counts itself where the
// block is used up.
func (n *numbers) takeIn(tx *table.Tx, of int) (uint64, error) {
	if id, ok := n.take(of); ok {
		return id, nil
	}
	return advance(tx, counters[of], 1)
}

// advance takes n numbers of a counter.
func advance(tx *table.Tx, name string, n uint64) (first uint64, err error) {
	row, err := Counters.Get(tx, name)
	if errors.Is(err, table.ErrNotFound) {
		row, err = Counter{Name: name, Next: 1}, nil
	}
	if err != nil {
		return 0, err
	}
	first = row.Next
	row.Next += n
	return first, Counters.Put(tx, &row)
}
