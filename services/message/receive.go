package message

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// Headers of dead letters: where they come from.
const (
	HeaderMailbox    = "dead-mailbox"
	HeaderDeliveries = "dead-deliveries"
)

// Take removes the first message that is ready from a mailbox. Errors: ErrEmpty,
// ErrNoMailbox, user.ErrDenied.
func (t *Tx) Take(mailbox string) (Message, error) {
	found, err := t.take(mailbox)
	if err == nil && !found {
		err = fmt.Errorf("mailbox %q: %w", mailbox, ErrEmpty)
	}
	if err != nil {
		return Message{}, err
	}
	return t.in, nil
}

// take leaves the message in t.in.
func (t *Tx) take(mailbox string) (found bool, err error) {
	m, err := t.receiver(mailbox)
	if err != nil {
		return false, err
	}
	x := &t.in
	if found, err = t.next(m, x); err != nil || !found {
		return false, err
	}
	x.Deliveries++
	return true, t.remove(x)
}

// receiver returns a mailbox from which the caller may receive.
func (t *Tx) receiver(mailbox string) (*Mailbox, error) {
	if err := t.check(user.Claim, user.KindMailbox, mailbox); err != nil {
		return nil, err
	}
	return t.box(mailbox)
}

// lease gives a message to a receiver.
func (t *Tx) lease(m *Mailbox, x *Message, d time.Duration) error {
	c, err := Counts.Get(t.tx, m.Name)
	if err != nil {
		return err
	}
	c.Token++
	x.State, x.Due, x.Token = Leased, t.now.Add(d), c.Token
	x.Deliveries++
	return errors.Join(Counts.Update(t.tx, &c), Messages.Update(t.tx, x))
}

// release gives a message back, to be received again after a while, unless it was
// given too often.
func (t *Tx) release(m *Mailbox, x *Message, delay time.Duration) error {
	if x.State == Leased && m.Deliveries > 0 && x.Deliveries >= m.Deliveries {
		return t.bury(m, x)
	}
	x.State, x.Due = Ready, t.now
	if delay > 0 {
		x.State, x.Due = Delayed, t.now.Add(delay)
	}
	t.service.kept(m, x)
	return Messages.Update(t.tx, x)
}

// bury makes a message dead: moves it to the mailbox of dead letters, if there is
// one with room.
func (t *Tx) bury(m *Mailbox, x *Message) error {
	dead, err := Mailboxes.Get(t.tx, m.Dead)
	switch {
	case err == nil:
		copied := *x
		copied.Due, copied.Token, copied.Deliveries = t.now, 0, 0
		copied.Headers = maps.Clone(x.Headers)
		if copied.Headers == nil {
			copied.Headers = map[string]string{}
		}
		copied.Headers[HeaderMailbox], copied.Headers[HeaderDeliveries] = x.Mailbox, strconv.FormatInt(x.Deliveries, 10)
		_, err = t.put(&dead, &copied, "")
		if err == nil {
			return t.remove(x)
		}
		if !errors.Is(err, ErrFull) {
			return err
		}
	case !errors.Is(err, table.ErrNotFound):
		return err
	}
	x.State, x.Due = Dead, t.now
	return errors.Join(Messages.Update(t.tx, x), t.promote(x))
}

// remove takes a message out of its mailbox.
func (t *Tx) remove(x *Message) error {
	err := t.discount(x)
	return errors.Join(err, Messages.Remove(t.tx, x), t.promote(x))
}

// promote unblocks the next message of the key of one that is gone.
func (t *Tx) promote(gone *Message) error {
	if gone.Key == "" {
		return nil
	}
	x, err := byKey.First(t.tx, table.Prefix(gone.Mailbox, gone.Key))
	if errors.Is(err, table.ErrNotFound) || err == nil && x.State != Blocked {
		return nil
	}
	if err != nil {
		return err
	}
	x.State = Ready
	if x.Due.After(t.now) {
		x.State = Delayed
	}
	return Messages.Update(t.tx, &x)
}

// Delivery is a message that a receiver has for the time of a lease.
type Delivery struct {
	Message
	service *Service
}

// Ack removes the message: the receiver is done with it.
func (d *Delivery) Ack(ctx context.Context) error {
	return d.service.update(ctx, "message.Ack", false, func(t *Tx) error { return t.Ack(d) })
}

// Ack is Delivery.Ack in a transaction: its effects and the receipt are one. It
// fails with ErrLost if the lease is another's by now, or was given up.
func (t *Tx) Ack(d *Delivery) error {
	x, err := t.held(d)
	if err != nil {
		return err
	}
	return t.remove(&x)
}

// held returns the row of a delivery, if its lease is still this one. One that has
// ended, and that nobody else has got since, holds.
func (t *Tx) held(d *Delivery) (Message, error) {
	x, err := Messages.Get(t.tx, d.Mailbox, d.Number)
	if err == nil && (x.State != Leased || x.Token != d.Token) {
		err = table.ErrNotFound
	}
	if errors.Is(err, table.ErrNotFound) {
		return x, fmt.Errorf("message %d of mailbox %q: %w", d.Number, d.Mailbox, ErrLost)
	}
	return x, err
}

// Nack gives the message back, to be received again after a delay. It fails with
// ErrLost as Ack does.
func (d *Delivery) Nack(ctx context.Context, delay time.Duration) error {
	return d.service.update(ctx, "message.Nack", false, func(t *Tx) error {
		x, err := t.held(d)
		if err != nil {
			return err
		}
		m, err := Mailboxes.Get(t.tx, d.Mailbox)
		if err != nil {
			return err
		}
		return t.release(&m, &x, delay)
	})
}

// Extend has the lease end after another while from now. It fails with ErrLost as
// Ack does.
func (d *Delivery) Extend(ctx context.Context, lease time.Duration) error {
	if lease < ShortLease || lease > MaxLease {
		return fmt.Errorf("a lease is from %v to %v, not %v", ShortLease, MaxLease, lease)
	}
	return d.service.update(ctx, "message.Extend", false, func(t *Tx) error {
		x, err := t.held(d)
		if err != nil {
			return err
		}
		x.Due = t.now.Add(lease)
		return Messages.Update(t.tx, &x)
	})
}
