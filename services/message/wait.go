package message

import (
	"context"
	"fmt"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// Waiting returns how many receivers, and readers of topics, wait.
func (s *Service) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting
}

// Receive waits for a message and leases it to the caller, for as long as the
// mailbox says. Errors: ErrNoMailbox, also when it is removed meanwhile,
// user.ErrDenied, ctx's.
func (s *Service) Receive(ctx context.Context, mailbox string) (*Delivery, error) {
	d := &Delivery{service: s}
	err := s.wait(ctx, mailbox, d.lease(mailbox))
	if err != nil {
		return nil, err
	}
	return d, nil
}

// TryReceive is Receive that fails with ErrEmpty instead of waiting.
func (s *Service) TryReceive(ctx context.Context, mailbox string) (*Delivery, error) {
	d := &Delivery{service: s}
	found, err := s.once(ctx, d.lease(mailbox))
	if err == nil && !found {
		err = fmt.Errorf("mailbox %q: %w", mailbox, ErrEmpty)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// lease is the procedure of Receive.
func (d *Delivery) lease(mailbox string) func(t *Tx) (bool, error) {
	return func(t *Tx) (bool, error) {
		m, err := t.receiver(mailbox)
		if err != nil {
			return false, err
		}
		found, err := t.next(m, &d.Message)
		if err != nil || !found {
			return false, err
		}
		return true, t.lease(m, &d.Message, m.Lease)
	}
}

// Process waits for a message, and takes it and runs fn in one transaction: the
// message is gone if and only if fn's changes are there. If fn fails, nothing
// happens but that Process returns its error; fn may be run more than once. Errors
// otherwise are those of Receive.
func (s *Service) Process(ctx context.Context, mailbox string, fn func(tx *table.Tx, x Message) error) error {
	return s.wait(ctx, mailbox, func(t *Tx) (bool, error) {
		found, err := t.take(mailbox)
		if err != nil || !found {
			return false, err
		}
		return true, fn(t.tx, t.in)
	})
}

// once runs a procedure that looks for a message.
func (s *Service) once(ctx context.Context, fn func(t *Tx) (bool, error)) (found bool, err error) {
	return s.decide(ctx, "message.Receive", false, fn)
}

// wait runs a procedure until it finds a message. It runs it once at least, unless
// the caller may do all and nothing is there.
func (s *Service) wait(ctx context.Context, mailbox string, fn func(t *Tx) (bool, error)) error {
	var w *waiter
	for looked := user.From(ctx).User == user.Root; ; looked = true {
		s.mu.Lock()
		d := s.deskOf(mailbox)
		seen, empty := d.changes, looked && d.empty(s.now())
		s.mu.Unlock()
		if !empty {
			found, err := s.once(ctx, fn)
			if found || err != nil {
				s.passOn(d)
				w.done()
				return err
			}
		}
		again := w != nil
		if !again {
			w = newWaiter()
		}
		if err := s.awaitDesk(ctx, d, mailbox, seen, w, again); err != nil {
			return err
		}
	}
}

// passOn has the next receiver look, if there may be something left.
func (s *Service) passOn(d *desk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.queue.first != nil && !d.empty(s.now()) {
		d.queue.wake()
	}
}

// awaitDesk waits for news of a mailbox since those that were seen.
func (s *Service) awaitDesk(ctx context.Context, d *desk, mailbox string, seen uint64, w *waiter, again bool) error {
	s.mu.Lock()
	if s.desks[mailbox] != d || d.changes != seen {
		s.mu.Unlock()
		return ctx.Err()
	}
	d.queue.push(w, again)
	s.arm(d)
	return s.await(ctx, &d.queue, w)
}

// await waits until w, which the caller has put into a queue, is woken. The caller
// holds the mutex, and no longer does when await returns.
func (s *Service) await(ctx context.Context, q *queue, w *waiter) (err error) {
	s.waiting++
	s.mu.Unlock()
	select {
	case <-w.woken:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
	if err != nil {
		q.leave(w)
	}
	return err
}

// countSenders counts those for whom it matters how much room there is.
func (s *Service) countSenders(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.senders += n
}

// wakeSender has the next one try who waits for room.
func (s *Service) wakeSender(d *desk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.senders.wake()
}

// passRoom is for who was woken in vain: where messages are counted by their bytes,
// what was too little for this one may do for the next.
func (s *Service) passRoom(d *desk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.box == nil || d.box.Bytes > 0 {
		d.senders.wake()
	}
}

// awaitRoom waits until a mailbox may have more room than when that was seen.
func (s *Service) awaitRoom(ctx context.Context, d *desk, mailbox string, seen uint64, w *waiter, again bool) error {
	s.mu.Lock()
	if s.desks[mailbox] != d || d.room != seen {
		s.mu.Unlock()
		return ctx.Err()
	}
	d.senders.push(w, again)
	return s.await(ctx, &d.senders, w)
}
