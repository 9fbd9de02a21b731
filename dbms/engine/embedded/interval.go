package embedded

import (
	"bytes"
	"cmp"
	"math/rand/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// intervals is a treap of ranges: a search tree by their low ends that random
// priorities keep shallow. Each node knows the highest end below it, so that the
// ranges that hold a key are found without looking at the others.
type intervals struct{ root *interval }

type interval struct {
	low, high   []byte // high nil: no end
	maxHigh     []byte // of this and all below; nil: no end
	serial      uint64 // tells apart what begins at the same key
	priority    uint64
	owner       *waiter
	left, right *interval
}

// before orders by low end and serial.
func (n *interval) before(o *interval) bool {
	return cmp.Or(bytes.Compare(n.low, o.low), cmp.Compare(n.serial, o.serial)) < 0
}

// later returns the later of two ends.
func later(a, b []byte) []byte {
	if a == nil || b == nil {
		return nil
	}
	if bytes.Compare(a, b) >= 0 {
		return a
	}
	return b
}

func (n *interval) update() *interval {
	n.maxHigh = n.high
	if n.left != nil {
		n.maxHigh = later(n.maxHigh, n.left.maxHigh)
	}
	if n.right != nil {
		n.maxHigh = later(n.maxHigh, n.right.maxHigh)
	}
	return n
}

// split divides a tree into what is before at and the rest.
func split(n, at *interval) (left, right *interval) {
	if n == nil {
		return nil, nil
	}
	if n.before(at) {
		n.right, right = split(n.right, at)
		return n.update(), right
	}
	left, n.left = split(n.left, at)
	return left, n.update()
}

// merge joins two trees, of which all of left is before all of right.
func merge(left, right *interval) *interval {
	switch {
	case left == nil:
		return right
	case right == nil:
		return left
	case left.priority > right.priority:
		left.right = merge(left.right, right)
		return left.update()
	}
	right.left = merge(left, right.left)
	return right.update()
}

func (t *intervals) insert(n *interval) {
	n.priority = rand.Uint64()
	left, right := split(t.root, n)
	t.root = merge(merge(left, n.update()), right)
}

func (t *intervals) remove(n *interval) { t.root = without(t.root, n) }

func without(at, n *interval) *interval {
	switch {
	case at == nil:
		return nil
	case at == n:
		return merge(n.left, n.right)
	case n.before(at):
		at.left = without(at.left, n)
	default:
		at.right = without(at.right, n)
	}
	return at.update()
}

// overlapping visits the ranges that overlap r, which is not empty.
func (t *intervals) overlapping(r engine.Range, visit func(*waiter)) { overlapping(t.root, r, visit) }

func overlapping(n *interval, r engine.Range, visit func(*waiter)) {
	if n == nil || n.maxHigh != nil && bytes.Compare(n.maxHigh, r.Low) <= 0 {
		return
	}
	overlapping(n.left, r, visit)
	if r.High != nil && bytes.Compare(n.low, r.High) >= 0 {
		return
	}
	if n.high == nil || bytes.Compare(n.high, r.Low) > 0 {
		visit(n.owner)
	}
	overlapping(n.right, r, visit)
}

// holding visits the ranges that hold key.
func (t *intervals) holding(key []byte, visit func(*waiter)) { holding(t.root, key, visit) }

func holding(n *interval, key []byte, visit func(*waiter)) {
	if n == nil || n.maxHigh != nil && bytes.Compare(n.maxHigh, key) <= 0 {
		return
	}
	holding(n.left, key, visit)
	if bytes.Compare(n.low, key) > 0 {
		return
	}
	if n.high == nil || bytes.Compare(n.high, key) > 0 {
		visit(n.owner)
	}
	holding(n.right, key, visit)
}
