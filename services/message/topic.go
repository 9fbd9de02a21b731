package message

import (
	"context"
	"errors"
	"fmt"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// forgetAtOnce is how many messages beyond a topic's limits each Publish removes:
// more than one, so that it catches up after a limit was lowered.
const forgetAtOnce = 4

// CreateTopic makes a topic. Its maker may do everything with it; others need
// grants. Errors: ErrExists, user.ErrDenied.
func (s *Service) CreateTopic(ctx context.Context, x Topic) error {
	return s.update(ctx, "message.CreateTopic", true, func(t *Tx) error {
		if err := t.check(user.Write, user.KindSystem, "message"); err != nil {
			return err
		}
		if x.Name == "" || len(x.Name) > MaxKey {
			return fmt.Errorf("a topic's name has 1 to %d bytes: %w", MaxKey, ErrTooLarge)
		}
		if x.Keep < 0 || x.Limit < 0 {
			return fmt.Errorf("topic %q: limits are not negative", x.Name)
		}
		row := x
		row.Owner, row.Next = t.caller.User, 1
		_, err := Publications.First(t.tx, table.Prefix(x.Name))
		if err == nil { // of one that is being removed
			return fmt.Errorf("topic %q: %w", x.Name, ErrExists)
		}
		if !errors.Is(err, table.ErrNotFound) {
			return err
		}
		err = Topics.Insert(t.tx, &row)
		if errors.Is(err, table.ErrExists) {
			return fmt.Errorf("topic %q: %w", x.Name, ErrExists)
		}
		return errors.Join(err, t.own(user.KindTopic, x.Name))
	})
}

// DeleteTopic removes a topic with its messages, subscriptions, and grants on it,
// in the manner of DeleteMailbox.
func (s *Service) DeleteTopic(ctx context.Context, name string) error {
	err := s.update(ctx, "message.DeleteTopic", true, func(t *Tx) error {
		if err := t.check(user.Admin, user.KindTopic, name); err != nil {
			return err
		}
		if err := Topics.Delete(t.tx, name); err != nil {
			return missing(err, ErrNoTopic, name)
		}
		return t.disown(user.KindTopic, name)
	})
	if err != nil {
		return err
	}
	return s.clearTopic(ctx, name)
}

// clearTopic removes what is left of a topic that was removed.
func (s *Service) clearTopic(ctx context.Context, name string) error {
	for done := false; !done; {
		err := s.update(ctx, "message.Clear", false, func(t *Tx) error {
			var last Publication
			n := 0
			for x, err := range Publications.Scan(t.tx, table.Prefix(name).Limit(clearAtOnce)) {
				if err != nil {
					return err
				}
				last = x
				n++
			}
			if done = n == 0; done {
				return nil
			}
			_, err := Publications.DeleteRange(t.tx, table.From(name).Through(name, last.Offset))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Publish adds a message to a topic, for all who subscribe, and returns its offset.
// The outgoing message's ID and delay must not be set. Errors: ErrNoTopic,
// ErrTooLarge, user.ErrDenied.
func (s *Service) Publish(ctx context.Context, topic string, o Outgoing) (offset uint64, err error) {
	err = s.update(ctx, "message.Publish", o.Durable, func(t *Tx) error {
		offset, err = t.Publish(topic, o)
		return err
	})
	return offset, err
}

// Publish is Service.Publish. Whether it is durable is the transaction's matter.
func (t *Tx) Publish(topic string, o Outgoing) (uint64, error) {
	if err := t.check(user.Submit, user.KindTopic, topic); err != nil {
		return 0, err
	}
	if o.ID != "" || o.Delay != 0 {
		return 0, errors.New("a message for a topic has no ID and no delay")
	}
	if err := o.valid(); err != nil {
		return 0, err
	}
	x, err := Topics.Get(t.tx, topic)
	if err != nil {
		return 0, missing(err, ErrNoTopic, topic)
	}
	offset := x.Next
	x.Next++
	err = Publications.Insert(t.tx, &Publication{
		Topic: topic, Offset: offset, Key: o.Key, Body: o.Body, Headers: o.Headers,
		User: t.caller.User, Task: t.caller.Task, At: t.now,
	})
	if x.Keep > 0 {
		t.service.keepUntil(t.now.Add(x.Keep))
	}
	return offset, errors.Join(err, Topics.Update(t.tx, &x), t.forget(&x, forgetAtOnce))
}

// forget removes some messages that a topic keeps no longer.
func (t *Tx) forget(x *Topic, most int) error {
	if x.Keep == 0 && x.Limit == 0 {
		return nil
	}
	var last uint64
	for p, err := range Publications.Scan(t.tx, table.Prefix(x.Name).Limit(most)) {
		if err != nil {
			return err
		}
		tooMany := x.Limit > 0 && x.Next-p.Offset > uint64(x.Limit)
		tooOld := x.Keep > 0 && t.now.Sub(p.At) >= x.Keep
		if !tooMany && !tooOld {
			break
		}
		last = p.Offset
	}
	if last == 0 {
		return nil
	}
	_, err := Publications.DeleteRange(t.tx, table.From(x.Name).Through(x.Name, last))
	return err
}
