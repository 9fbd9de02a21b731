package message

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// Outgoing is a message to be sent.
type Outgoing struct {
	ID      string            // makes it happen once within KeepIDs; "": each Send is another message
	Key     string            // messages of one key are received in order
	Body    []byte            // at most MaxBody
	Headers map[string]string // about it
	Delay   time.Duration     // until it may be received
	Durable bool              // Send returns when a power cut cannot undo it
}

// Send puts a message into a mailbox, and returns its number there: that of the
// first time if its ID was sent before. Errors: ErrNoMailbox, ErrFull, ErrTooLarge,
// user.ErrDenied.
func (s *Service) Send(ctx context.Context, mailbox string, o Outgoing) (number uint64, err error) {
	err = s.update(ctx, "message.Send", o.Durable, func(t *Tx) error {
		number, err = t.Send(mailbox, o)
		return err
	})
	return number, err
}

// SendWait is Send, but waits for room in a mailbox that is full.
func (s *Service) SendWait(ctx context.Context, mailbox string, o Outgoing) (uint64, error) {
	s.countSenders(1)
	defer s.countSenders(-1)
	var w *waiter
	for {
		s.mu.Lock()
		d := s.deskOf(mailbox)
		seen := d.room
		s.mu.Unlock()
		number, err := s.Send(ctx, mailbox, o)
		if !errors.Is(err, ErrFull) {
			s.wakeSender(d)
			w.done()
			return number, err
		}
		again := w != nil
		if again {
			s.passRoom(d)
		} else {
			w = newWaiter()
		}
		if err := s.awaitRoom(ctx, d, mailbox, seen, w, again); err != nil {
			return 0, err
		}
	}
}

// Send is Service.Send. Whether it is durable is the transaction's matter.
func (t *Tx) Send(mailbox string, o Outgoing) (uint64, error) {
	if err := t.check(user.Submit, user.KindMailbox, mailbox); err != nil {
		return 0, err
	}
	m, err := t.box(mailbox)
	if err != nil {
		return 0, err
	}
	if err := o.valid(); err != nil {
		return 0, err
	}
	if o.ID != "" {
		before, err := SentIDs.Get(t.tx, mailbox, o.ID)
		if err == nil && t.now.Sub(before.At) < KeepIDs {
			return before.Number, nil
		}
		if err != nil && !errors.Is(err, table.ErrNotFound) {
			return 0, err
		}
	}
	t.out = Message{
		Key: o.Key, Body: o.Body, Headers: o.Headers, User: t.caller.User, Task: t.caller.Task, Sent: t.now, Due: t.now.Add(o.Delay),
	}
	return t.put(m, &t.out, o.ID)
}

func (o *Outgoing) valid() error {
	switch {
	case len(o.Body) > MaxBody:
		return fmt.Errorf("a body of %d bytes, at most %d are taken: %w; keep it in a file or a row, and send where", len(o.Body), MaxBody, ErrTooLarge)
	case len(o.Key) > MaxKey || len(o.ID) > MaxKey:
		return fmt.Errorf("a key or ID has at most %d bytes: %w", MaxKey, ErrTooLarge)
	case o.Delay < 0:
		return fmt.Errorf("a delay of %v", o.Delay)
	}
	return nil
}

// put adds a message to a mailbox that has room for it.
func (t *Tx) put(m *Mailbox, x *Message, id string) (uint64, error) {
	err := t.number(m, x)
	if err == nil {
		x.State, err = t.firstState(x)
	}
	if err == nil {
		err = Messages.Insert(t.tx, x)
	}
	t.service.kept(m, x)
	if err == nil && id != "" {
		err = errors.Join(SentIDs.Put(t.tx, &Sent{m.Name, id, x.Number, t.now}), t.forgetIDs())
	}
	return x.Number, err
}

// firstState is that of a message which is new in its mailbox.
func (t *Tx) firstState(x *Message) (State, error) {
	if x.Key != "" {
		_, err := byKey.First(t.tx, table.Prefix(x.Mailbox, x.Key))
		if !errors.Is(err, table.ErrNotFound) {
			return Blocked, err
		}
	}
	if x.Due.After(t.now) {
		return Delayed, nil
	}
	return Ready, nil
}

// forgetIDs removes some IDs that are remembered no longer: more than are added, so
// that they do not pile up.
func (t *Tx) forgetIDs() error {
	var old []Sent
	for x, err := range sentAt.Scan(t.tx, table.To(t.now.Add(-KeepIDs)).Limit(3)) {
		if err != nil {
			return err
		}
		old = append(old, x)
	}
	for _, x := range old {
		if err := SentIDs.Delete(t.tx, x.Mailbox, x.ID); err != nil {
			return err
		}
	}
	return nil
}
