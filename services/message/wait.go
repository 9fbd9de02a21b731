package message

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// desk is where receivers of one mailbox wait. Who has the baton looks for a
// message, and watches; the others wait for the baton.
type desk struct {
	baton   chan struct{} // has the baton while nobody does
	waiting int           // receivers; guarded by Service.mu
}

// sit enters a receiver, who leaves by stand.
func (s *Service) sit(mailbox string) *desk {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.desks[mailbox]
	if d == nil {
		d = &desk{baton: make(chan struct{}, 1)}
		d.baton <- struct{}{}
		s.desks[mailbox] = d
	}
	d.waiting++
	return d
}

func (s *Service) stand(mailbox string, d *desk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.waiting--; d.waiting == 0 {
		delete(s.desks, mailbox)
	}
}

// Waiting returns how many receivers are waiting, or looking.
func (s *Service) Waiting() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.desks {
		n += d.waiting
	}
	return n
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
		found := false
		if d.Message, found, err = t.next(&m); err != nil || !found {
			return false, err
		}
		return true, t.lease(&m, &d.Message, m.Lease)
	}
}

// Process waits for a message, and takes it and runs fn in one transaction: the
// message is gone if and only if fn's changes are there. If fn fails, nothing
// happens but that Process returns its error; fn may be run more than once. Errors
// otherwise are those of Receive.
func (s *Service) Process(ctx context.Context, mailbox string, fn func(tx *table.Tx, x Message) error) error {
	return s.wait(ctx, mailbox, func(t *Tx) (bool, error) {
		x, found, err := t.take(mailbox)
		if err != nil || !found {
			return false, err
		}
		return true, fn(t.tx, x)
	})
}

// once runs a procedure that looks for a message.
func (s *Service) once(ctx context.Context, fn func(t *Tx) (bool, error)) (found bool, err error) {
	err = s.update(ctx, "message.Receive", false, func(t *Tx) (err error) {
		found, err = fn(t)
		return err
	})
	return found, err
}

// wait runs a procedure until it finds a message.
func (s *Service) wait(ctx context.Context, mailbox string, fn func(t *Tx) (bool, error)) error {
	d := s.sit(mailbox)
	defer s.stand(mailbox, d)
	select {
	case <-d.baton:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { d.baton <- struct{}{} }()
	for {
		if found, err := s.once(ctx, fn); found || err != nil {
			return err
		}
		if err := s.watch(ctx, mailbox); err != nil {
			return err
		}
	}
}

// watch returns when the mailbox may have a message that is ready.
func (s *Service) watch(ctx context.Context, mailbox string) error {
	var w watched
	err := s.store.View(ctx, func(tx *table.Tx) (err error) {
		w, err = s.toWatch(tx, mailbox)
		return err
	})
	if err != nil || w.already {
		return err
	}
	if w.until.IsZero() {
		_, err = s.store.Engine().Watch(ctx, w.at, w.areas[:]...)
		return err
	}
	timed, cancel := context.WithTimeout(ctx, w.until.Sub(s.now()))
	defer cancel()
	_, err = s.store.Engine().Watch(timed, w.at, w.areas[:]...)
	if timed.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// watched is what a receiver waits for.
type watched struct {
	at      engine.Version
	areas   [4]engine.Range // keys that change when there may be something
	until   time.Time       // when the first lease or delay ends; zero: there is none
	already bool            // there is something ready
}

// toWatch finds what may bring the mailbox a message that is ready: one that comes
// or is unblocked; a lease or delay that ends, or a new one that ends before the
// first of those; that the mailbox is removed; a restore of some rows.
func (s *Service) toWatch(tx *table.Tx, mailbox string) (w watched, err error) {
	w.at = tx.Version()
	switch _, err := ready.First(tx, table.Prefix(mailbox)); {
	case err == nil:
		w.already = true
		return w, nil
	case !errors.Is(err, table.ErrNotFound):
		return w, err
	}
	early := table.Prefix(mailbox)
	switch first, err := due.First(tx, early); {
	case err == nil:
		w.until = first.Due
		early = table.From(mailbox).To(mailbox, first.Due)
	case !errors.Is(err, table.ErrNotFound):
		return w, err
	}
	jobs, err := tx.Rows(table.JobsTable)
	if err != nil {
		return w, err
	}
	var errs [4]error
	w.areas[0], errs[0] = ready.Range(tx, table.Prefix(mailbox))
	w.areas[1], errs[1] = due.Range(tx, early)
	w.areas[2], errs[2] = Mailboxes.Range(tx, table.Prefix(mailbox))
	w.areas[3], errs[3] = jobs.Range(table.Span{})
	return w, errors.Join(errs[:]...)
}

// roomOf returns what changes when a mailbox gets room, and the version since when.
func (s *Service) roomOf(ctx context.Context, mailbox string) (at engine.Version, r engine.Range, err error) {
	err = s.store.View(ctx, func(tx *table.Tx) error {
		at = tx.Version()
		r, err = Counts.Range(tx, table.Prefix(mailbox))
		return err
	})
	return at, r, err
}
