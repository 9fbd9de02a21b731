package net

import "sync"

// eventQueue runs functions one after another on one goroutine. Posting never
// blocks: netstack's callbacks post, and may hold the stack's locks.
type eventQueue struct {
	mu     sync.Mutex
	queue  []func()
	wake   chan struct{} // capacity 1
	closed bool
}

func newEventQueue() *eventQueue {
	return &eventQueue{wake: make(chan struct{}, 1)}
}

// post queues f; after close it is dropped.
func (q *eventQueue) post(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.queue = append(q.queue, f)
	q.signal()
}

func (q *eventQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

func (q *eventQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // a wake-up is pending already
	}
}

// run works until close.
func (q *eventQueue) run() {
	for range q.wake {
		q.mu.Lock()
		batch, closed := q.queue, q.closed
		q.queue = nil
		q.mu.Unlock()
		if closed {
			return
		}
		for _, f := range batch {
			f()
		}
	}
}
