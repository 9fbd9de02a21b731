package message

import "sync"

// queue is goroutines that wait, in the order in which they came. The service's mutex
// guards it.
type queue struct{ first, last *waiter }

// waiter is one of them.
type waiter struct {
	prev, next *waiter
	queued     bool
	woken      chan struct{} // has a value once it was taken off the queue
}

var waiters = sync.Pool{New: func() any { return &waiter{woken: make(chan struct{}, 1)} }}

func newWaiter() *waiter { return waiters.Get().(*waiter) }

// done gives a waiter back that is in no queue, and has seen that it was woken.
func (w *waiter) done() {
	if w != nil {
		waiters.Put(w)
	}
}

// push has w wait, behind the others, or before them if it was woken in vain.
func (q *queue) push(w *waiter, front bool) {
	w.queued = true
	switch {
	case q.first == nil:
		q.first, q.last = w, w
	case front:
		w.next, q.first.prev, q.first = q.first, w, w
	default:
		w.prev, q.last.next, q.last = q.last, w, w
	}
}

// remove takes w off the queue.
func (q *queue) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.last = w.prev
	}
	w.queued, w.prev, w.next = false, nil, nil
}

// wake takes the first off the queue, and reports whether there was one.
func (q *queue) wake() bool {
	w := q.first
	if w == nil {
		return false
	}
	q.remove(w)
	w.woken <- struct{}{}
	return true
}

func (q *queue) wakeAll() {
	for q.wake() {
	}
}

// leave is for a waiter that gives up: if it was woken already, another is.
func (q *queue) leave(w *waiter) {
	if w.queued {
		q.remove(w)
	} else {
		q.wake()
	}
}
