package message

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// From says where a reader of a topic begins.
type From int

// The beginnings.
const (
	Newest From = iota // with what is published from now on
	Oldest             // with the oldest that is kept
)

// Subscribe makes a subscription that lasts, or returns quietly if the caller has one of
// that name already, wherever it stands. A subscription is its owner's: others need the
// right to admin the topic to go on with it or to remove it. Errors: ErrNoTopic,
// user.ErrDenied.
func (s *Service) Subscribe(ctx context.Context, topic, name string, from From) error {
	return s.update(ctx, "message.Subscribe", true, func(t *Tx) error {
		x, err := t.subscriber(topic)
		if err != nil {
			return err
		}
		if name == "" || len(name) > MaxKey {
			return fmt.Errorf("a subscription's name has 1 to %d bytes: %w", MaxKey, ErrTooLarge)
		}
		_, err = t.subscription(topic, name)
		if !errors.Is(err, ErrNoSubscription) {
			return err
		}
		row := Subscription{Topic: topic, Name: name, Owner: t.caller.User}
		if from == Newest {
			row.Offset = x.Next - 1
		}
		return Subscriptions.Insert(t.tx, &row)
	})
}

// Unsubscribe removes a subscription. Errors are those of Resume.
func (s *Service) Unsubscribe(ctx context.Context, topic, name string) error {
	return s.update(ctx, "message.Unsubscribe", true, func(t *Tx) error {
		if _, err := t.subscriber(topic); err != nil {
			return err
		}
		if _, err := t.subscription(topic, name); err != nil {
			return err
		}
		return Subscriptions.Delete(t.tx, topic, name)
	})
}

// subscription returns one that the caller may go on with, or remove.
func (t *Tx) subscription(topic, name string) (row Subscription, err error) {
	row, err = Subscriptions.Get(t.tx, topic, name)
	if err != nil {
		return row, missing(err, ErrNoSubscription, topic+"/"+name)
	}
	if row.Owner != t.caller.User {
		err = t.check(user.Admin, user.KindTopic, topic)
	}
	return row, err
}

func (t *Tx) subscriber(topic string) (x Topic, err error) {
	if err := t.check(user.Claim, user.KindTopic, topic); err != nil {
		return x, err
	}
	x, err = Topics.Get(t.tx, topic)
	return x, missing(err, ErrNoTopic, topic)
}

// Reader reads a topic in the order of offsets. It belongs to one goroutine at a
// time.
type Reader struct {
	service *Service
	topic   string
	name    string // of the subscription; "" for none
	token   uint64
	next    uint64        // offset of the next message
	fetched []Publication // that Next has not returned yet; others have them, too
}

// Follow reads a topic without a subscription: where it stands is known to the
// Reader alone. Errors: ErrNoTopic, user.ErrDenied.
func (s *Service) Follow(ctx context.Context, topic string, from From) (*Reader, error) {
	r := &Reader{service: s, topic: topic, next: 1}
	err := s.store.View(ctx, func(tx *table.Tx) error {
		x, err := s.In(ctx, tx).subscriber(topic)
		if err != nil {
			return err
		}
		if from == Newest {
			r.next = x.Next
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Resume goes on with a subscription after the message that was acknowledged last.
// Another reader of it is fenced off: its Ack fails with ErrLost. Errors: ErrNoTopic,
// ErrNoSubscription, user.ErrDenied.
func (s *Service) Resume(ctx context.Context, topic, name string) (*Reader, error) {
	r := &Reader{service: s, topic: topic, name: name}
	err := s.update(ctx, "message.Resume", false, func(t *Tx) error {
		if _, err := t.subscriber(topic); err != nil {
			return err
		}
		row, err := t.subscription(topic, name)
		if err != nil {
			return err
		}
		row.Token++
		r.token, r.next = row.Token, row.Offset+1
		return Subscriptions.Update(t.tx, &row)
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Next waits for the next message. Offsets have gaps where messages are kept no
// longer. The caller must have the right to the topic still: user.ErrDenied.
func (r *Reader) Next(ctx context.Context) (x Publication, err error) {
	var w *waiter
	for len(r.fetched) == 0 {
		rows, f, seen, err := r.service.fetch(ctx, r.topic, r.next)
		if err != nil {
			return x, err
		}
		if r.fetched = rows; len(rows) > 0 {
			break
		}
		if w == nil {
			w = newWaiter()
		}
		if err := r.service.awaitFeed(ctx, f, r.topic, seen, w); err != nil {
			return x, err
		}
	}
	w.done()
	return r.take(ctx)
}

// TryNext is Next that fails with ErrEmpty instead of waiting.
func (r *Reader) TryNext(ctx context.Context) (x Publication, err error) {
	if len(r.fetched) == 0 {
		if r.fetched, err = r.service.look(ctx, r.topic, r.next); err != nil {
			return x, err
		}
	}
	if len(r.fetched) == 0 {
		return x, ErrEmpty
	}
	return r.take(ctx)
}

// take returns the first of those that were fetched, as the caller's own.
func (r *Reader) take(ctx context.Context) (x Publication, err error) {
	if err := r.mayRead(ctx); err != nil {
		return x, err
	}
	x = r.fetched[0]
	r.fetched = r.fetched[1:]
	r.next = x.Offset + 1
	x.Body, x.Headers = bytes.Clone(x.Body), maps.Clone(x.Headers)
	return x, nil
}

// mayRead asks again for each message: a right may have been taken since Follow.
func (r *Reader) mayRead(ctx context.Context) error {
	if user.From(ctx).User == user.Root {
		return nil
	}
	return r.service.store.View(ctx, func(tx *table.Tx) error {
		return r.service.In(ctx, tx).check(user.Claim, user.KindTopic, r.topic)
	})
}

// Ack notes that the subscription is done with all messages up to an offset. It
// fails with ErrLost if another reader has resumed it.
func (r *Reader) Ack(ctx context.Context, offset uint64) error {
	return r.service.update(ctx, "message.AckTopic", false, func(t *Tx) error { return t.AckTopic(r, offset) })
}

// AckTopic is Reader.Ack in a transaction: with the effects of the messages, it
// makes them exactly once.
func (t *Tx) AckTopic(r *Reader, offset uint64) error {
	if err := t.check(user.Claim, user.KindTopic, r.topic); err != nil {
		return err
	}
	row, err := Subscriptions.Get(t.tx, r.topic, r.name)
	if errors.Is(err, table.ErrNotFound) || err == nil && row.Token != r.token {
		return fmt.Errorf("subscription %q of topic %q: %w", r.name, r.topic, ErrLost)
	}
	if err != nil || offset <= row.Offset {
		return err
	}
	row.Offset = offset
	return Subscriptions.Update(t.tx, &row)
}
