package message

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// defaultLease is a mailbox's where its maker does not say.
const defaultLease = time.Minute

// CreateMailbox makes a mailbox. Its maker may do everything with it; others need
// grants. One of dead letters takes the right to send there. Errors: ErrExists, ErrNoMailbox for one of dead letters that is not
// there, user.ErrDenied.
func (s *Service) CreateMailbox(ctx context.Context, m Mailbox) error {
	return s.update(ctx, "message.CreateMailbox", true, func(t *Tx) error { return t.CreateMailbox(m) })
}

// CreateMailbox is Service.CreateMailbox.
func (t *Tx) CreateMailbox(m Mailbox) error {
	if err := t.check(user.Write, user.KindSystem, "message"); err != nil {
		return err
	}
	if m.Lease == 0 {
		m.Lease = defaultLease
	}
	if err := errors.Join(t.valid(&m), t.mayBury(m.Dead, "")); err != nil {
		return err
	}
	m.Owner = t.caller.User
	c := Count{Mailbox: m.Name, Next: 1}
	if !m.limited() {
		c.Messages, c.Bytes = uncounted, uncounted
	}
	err := Counts.Insert(t.tx, &c)
	if errors.Is(err, table.ErrExists) {
		return fmt.Errorf("mailbox %q: %w", m.Name, ErrExists)
	}
	if err == nil {
		err = Mailboxes.Insert(t.tx, &m)
	}
	if err != nil {
		return err
	}
	return t.own(user.KindMailbox, m.Name)
}

// own grants everything about an object to the caller.
func (t *Tx) own(k user.Kind, name string) error {
	if t.caller.User == user.Root {
		return nil
	}
	for _, r := range []user.Right{user.Admin, user.Submit, user.Claim} {
		if err := user.Grants.Put(t.tx, &user.Grant{Principal: t.caller.User, Kind: k, Right: r, Object: name}); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) valid(m *Mailbox) error {
	switch {
	case m.Name == "" || len(m.Name) > MaxKey:
		return fmt.Errorf("a mailbox's name has 1 to %d bytes: %w", MaxKey, ErrTooLarge)
	case m.Lease < ShortLease || m.Lease > MaxLease:
		return fmt.Errorf("mailbox %q: a lease is from %v to %v, not %v", m.Name, ShortLease, MaxLease, m.Lease)
	case m.Limit < 0 || m.Bytes < 0 || m.Deliveries < 0 || m.Keep < 0:
		return fmt.Errorf("mailbox %q: limits are not negative", m.Name)
	case m.Dead == m.Name:
		return fmt.Errorf("mailbox %q cannot be its own mailbox of dead letters", m.Name)
	case m.Dead == "":
		return nil
	}
	_, err := Mailboxes.Get(t.tx, m.Dead)
	return missing(err, ErrNoMailbox, m.Dead)
}

// mayBury says whether the caller may have dead letters sent to a mailbox that did not
// get them before.
func (t *Tx) mayBury(dead, before string) error {
	if dead == before {
		return nil
	}
	return t.check(user.Submit, user.KindMailbox, dead)
}

// AlterMailbox changes what a mailbox is, by its name; its owner stays. Messages
// that are there stay, even beyond a lower limit. They are read, to be counted, if the
// mailbox had no limit and has one now.
func (s *Service) AlterMailbox(ctx context.Context, m Mailbox) error {
	return s.update(ctx, "message.AlterMailbox", true, func(t *Tx) error {
		if err := t.check(user.Admin, user.KindMailbox, m.Name); err != nil {
			return err
		}
		old, err := Mailboxes.Get(t.tx, m.Name)
		if err != nil {
			return missing(err, ErrNoMailbox, m.Name)
		}
		m := m
		m.Owner = old.Owner
		if err := errors.Join(t.valid(&m), t.mayBury(m.Dead, old.Dead)); err != nil {
			return err
		}
		return errors.Join(Mailboxes.Update(t.tx, &m), t.recount(&m))
	})
}

// DeleteMailbox removes a mailbox with its messages, and grants on it. Nobody can
// send or receive there from the first moment; the messages are removed by and by,
// by the next Open if this one is interrupted. Until then there cannot be another
// mailbox of that name.
func (s *Service) DeleteMailbox(ctx context.Context, name string) error {
	err := s.update(ctx, "message.DeleteMailbox", true, func(t *Tx) error {
		if err := t.check(user.Admin, user.KindMailbox, name); err != nil {
			return err
		}
		if err := Mailboxes.Delete(t.tx, name); err != nil {
			return missing(err, ErrNoMailbox, name)
		}
		return t.disown(user.KindMailbox, name)
	})
	if err != nil {
		return err
	}
	return s.clear(ctx, name)
}

// clearAtOnce is how many rows of a removed mailbox one procedure removes.
const clearAtOnce = 500

// clear removes what is left of a mailbox that was removed.
func (s *Service) clear(ctx context.Context, name string) error {
	for done := false; !done; {
		err := s.update(ctx, "message.Clear", false, func(t *Tx) error {
			var last Message
			n := 0
			for x, err := range Messages.Scan(t.tx, table.Prefix(name).Limit(clearAtOnce)) {
				if err != nil {
					return err
				}
				last = x
				n++
			}
			if done = n == 0; !done {
				_, err := Messages.DeleteRange(t.tx, table.From(name).Through(name, last.Number))
				return err
			}
			_, err := SentIDs.DeleteRange(t.tx, table.Prefix(name))
			return errors.Join(err, Counts.Delete(t.tx, name))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// clearRest goes on with removals that were interrupted.
func (s *Service) clearRest(ctx context.Context) error {
	var rest []string
	err := s.store.View(ctx, func(tx *table.Tx) error {
		for c, err := range Counts.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			switch _, err := Mailboxes.Get(tx, c.Mailbox); {
			case errors.Is(err, table.ErrNotFound):
				rest = append(rest, c.Mailbox)
			case err != nil:
				return err
			}
		}
		return nil
	})
	for _, name := range rest {
		if err == nil {
			err = s.clear(ctx, name)
		}
	}
	if err != nil {
		return err
	}
	return s.clearRestOfTopics(ctx)
}

// clearRestOfTopics steps from topic to topic of the messages that there are.
func (s *Service) clearRestOfTopics(ctx context.Context) error {
	for span := (table.Span{}); ; {
		var name string
		gone := false
		err := s.store.View(ctx, func(tx *table.Tx) error {
			x, err := Publications.First(tx, span)
			if err != nil {
				return err
			}
			name = x.Topic
			_, err = Topics.Get(tx, name)
			gone = errors.Is(err, table.ErrNotFound)
			if gone {
				return nil
			}
			return err
		})
		if errors.Is(err, table.ErrNotFound) {
			return nil
		}
		if err == nil && gone {
			err = s.clearTopic(ctx, name)
		}
		if err != nil {
			return err
		}
		span = table.After(name)
	}
}

// disown removes the grants on an object that is gone, so that one of the same
// name does not inherit them.
func (t *Tx) disown(k user.Kind, name string) error {
	var gone []user.Grant
	for g, err := range user.Grants.Scan(t.tx, table.Span{}) {
		if err != nil {
			return err
		}
		if g.Kind == k && g.Object == name {
			gone = append(gone, g)
		}
	}
	for _, g := range gone {
		if err := user.Grants.Delete(t.tx, g.Principal, g.Kind, g.Right, g.Object); err != nil {
			return err
		}
	}
	return nil
}
