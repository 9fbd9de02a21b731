package message

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// Messages that are kept for a time go when it is over: with the next one that is
// published or received, and where there is none, by a timer. It is set when a message
// comes that is not kept for ever, and for the oldest one that is left when it has run.

const (
	keepLeast  = 100 * time.Millisecond // between two runs
	keepRetry  = time.Minute            // after an error
	keepAtOnce = 100                    // messages that one procedure of a run removes
)

// keeper is the timer.
type keeper struct {
	mu      sync.Mutex
	timer   *time.Timer // nil: not needed yet
	at      time.Time   // when it runs, by Service.now; zero: not at all
	closed  bool
	running sync.WaitGroup
}

// kept sets the timer for a message that is ready, or will be.
func (s *Service) kept(m *Mailbox, x *Message) {
	if m.Keep == 0 {
		return
	}
	at := x.keptFrom().Add(m.Keep)
	if x.Due.After(at) {
		at = x.Due
	}
	s.keepUntil(at)
}

// keepUntil sees to it that messages are looked after at a time.
func (s *Service) keepUntil(at time.Time) {
	k := &s.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || !k.at.IsZero() && !at.Before(k.at) {
		return
	}
	k.at = at
	wait := max(at.Sub(s.now()), keepLeast)
	if k.timer == nil {
		k.timer = time.AfterFunc(wait, s.keep)
	} else {
		k.timer.Reset(wait)
	}
}

// close ends the timer, and waits for what it does.
func (k *keeper) close() {
	k.mu.Lock()
	k.closed = true
	if k.timer != nil {
		k.timer.Stop()
	}
	k.mu.Unlock()
	k.running.Wait()
}

// keep is the timer's.
func (s *Service) keep() {
	k := &s.keeper
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return
	}
	k.at = time.Time{}
	k.running.Add(1)
	k.mu.Unlock()
	defer k.running.Done()
	if err := s.expireAll(context.Background()); err != nil {
		s.log("message: removing what is kept no longer: %v", err)
		s.keepUntil(s.now().Add(keepRetry))
	}
}

// expireAll removes what is kept no longer, and sets the timer for what is kept.
func (s *Service) expireAll(ctx context.Context) error {
	ctx = user.With(ctx, user.Caller{User: user.Root, Program: "message"})
	var topics []Topic
	var boxes []Mailbox
	err := s.store.View(ctx, func(tx *table.Tx) error {
		topics, boxes = nil, nil
		for x, err := range Topics.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			if x.Keep > 0 {
				topics = append(topics, x)
			}
		}
		for m, err := range Mailboxes.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			if m.Keep > 0 {
				boxes = append(boxes, m)
			}
		}
		return nil
	})
	for i := range topics {
		err = errors.Join(err, s.expireSome(ctx, func(t *Tx) (time.Time, error) { return t.expireTopic(topics[i].Name) }))
	}
	for i := range boxes {
		err = errors.Join(err, s.expireSome(ctx, func(t *Tx) (time.Time, error) { return t.expireMailbox(boxes[i].Name) }))
	}
	return err
}

// expireSome runs a procedure that removes some messages and says when it is to run again:
// until then is later than now; zero: there are none.
func (s *Service) expireSome(ctx context.Context, some func(t *Tx) (time.Time, error)) error {
	for {
		var next time.Time
		err := s.update(ctx, "message.Expire", false, func(t *Tx) (err error) {
			next, err = some(t)
			return err
		})
		if err != nil || next.IsZero() {
			return err
		}
		if next.After(s.now()) {
			s.keepUntil(next)
			return nil
		}
	}
}

func (t *Tx) expireTopic(name string) (next time.Time, err error) {
	x, err := Topics.Get(t.tx, name)
	if err != nil || x.Keep == 0 {
		return next, ignore(err, table.ErrNotFound)
	}
	if err := t.forget(&x, keepAtOnce); err != nil {
		return next, err
	}
	p, err := Publications.First(t.tx, table.Prefix(name))
	if err != nil {
		return next, ignore(err, table.ErrNotFound)
	}
	return p.At.Add(x.Keep), nil
}

func (t *Tx) expireMailbox(name string) (next time.Time, err error) {
	m, err := Mailboxes.Get(t.tx, name)
	if err != nil || m.Keep == 0 {
		return next, ignore(err, table.ErrNotFound)
	}
	for range keepAtOnce {
		found, err := t.first(&m, &t.in)
		if err != nil {
			return next, err
		}
		if !found {
			return t.nextReady(name)
		}
		if next = t.in.keptFrom().Add(m.Keep); next.After(t.now) {
			break
		}
		if err := t.bury(&m, &t.in); err != nil {
			return next, err
		}
	}
	return next, nil
}

// nextReady is when a message that is leased or delayed is ready, if nothing happens to it
// before; zero: there is none.
func (t *Tx) nextReady(mailbox string) (time.Time, error) {
	x, err := due.First(t.tx, table.Prefix(mailbox))
	if err != nil {
		return time.Time{}, ignore(err, table.ErrNotFound)
	}
	if least := t.now.Add(keepLeast); x.Due.Before(least) {
		return least, nil
	}
	return x.Due, nil
}

// keptFrom is since when nobody has received the message: a dead letter, since it came to
// the mailbox where it is.
func (x *Message) keptFrom() time.Time {
	if _, dead := x.Headers[HeaderMailbox]; dead {
		return x.Due
	}
	return x.Sent
}

func ignore(err, reason error) error {
	if errors.Is(err, reason) {
		return nil
	}
	return err
}
