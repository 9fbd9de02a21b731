package message

import (
	"errors"
	"fmt"

	"github.com/tuplix/tuplix/dbms/table"
)

// numbersAtOnce is how many numbers a mailbox's row of counts gives away in advance, so
// that it need not be written for each message. After a restart those that were not used
// are left out.
const numbersAtOnce = 64

func (m *Mailbox) limited() bool { return m.Limit > 0 || m.Bytes > 0 }

// number gives a message that is sent to a mailbox its number, and counts it where there
// is a limit.
func (t *Tx) number(m *Mailbox, x *Message) error {
	x.Mailbox = m.Name
	known, err := t.count(m.Name)
	if err != nil {
		return err
	}
	x.Number, err = t.nextNumber(known)
	if err != nil || !m.limited() && x.Number < known.Next && known.Messages == uncounted {
		return err
	}
	c := *known
	if err := t.countIn(m, &c, int64(len(x.Body))); err != nil {
		return err
	}
	if x.Number >= c.Next {
		c.Next = x.Number + 1
		if !m.limited() && t.tx.CurrentBut() {
			c.Next = x.Number + numbersAtOnce
		}
	}
	return Counts.Update(t.tx, &c)
}

// countIn adds a message to what a mailbox holds, if it has room.
func (t *Tx) countIn(m *Mailbox, c *Count, bytes int64) error {
	if !m.limited() {
		c.Messages, c.Bytes = uncounted, uncounted
		return nil
	}
	if c.Messages == uncounted {
		if err := t.measure(c); err != nil {
			return err
		}
	}
	if m.Limit > 0 && c.Messages >= m.Limit || m.Bytes > 0 && c.Bytes+bytes > m.Bytes {
		return fmt.Errorf("mailbox %q, %d messages of %d bytes: %w", m.Name, c.Messages, c.Bytes, ErrFull)
	}
	c.Messages++
	c.Bytes += bytes
	return nil
}

// discount takes a message that is about to be removed from what its mailbox holds.
func (t *Tx) discount(x *Message) error {
	known, err := t.count(x.Mailbox)
	if err != nil {
		return err
	}
	if known.Messages == uncounted {
		m, err := t.box(x.Mailbox)
		if errors.Is(err, ErrNoMailbox) || err == nil && !m.limited() {
			return nil
		}
		if err != nil {
			return err
		}
	}
	c := *known
	if c.Messages == uncounted { // though there is a limit: the row of the mailbox was changed past the service
		if err := t.measure(&c); err != nil {
			return err
		}
	}
	c.Messages--
	c.Bytes -= int64(len(x.Body))
	return Counts.Update(t.tx, &c)
}

// recount counts what a mailbox holds that has a limit now.
func (t *Tx) recount(m *Mailbox) error {
	c, err := Counts.Get(t.tx, m.Name)
	if err != nil || !m.limited() || c.Messages != uncounted {
		return err
	}
	return errors.Join(t.measure(&c), Counts.Update(t.tx, &c))
}

// measure counts the messages that there are in a mailbox.
func (t *Tx) measure(c *Count) (err error) {
	c.Messages, c.Bytes, err = holds(t.tx, c.Mailbox)
	return err
}

func holds(tx *table.Tx, mailbox string) (messages, bytes int64, err error) {
	for x, err := range Messages.Scan(tx, table.Prefix(mailbox)) {
		if err != nil {
			return 0, 0, err
		}
		messages++
		bytes += int64(len(x.Body))
	}
	return messages, bytes, nil
}

// Holds returns how many messages are in a mailbox, in any state, and how long their
// bodies are together. Where there is no limit it takes time in proportion.
func Holds(tx *table.Tx, mailbox string) (messages, bytes int64, err error) {
	c, err := Counts.Get(tx, mailbox)
	if err != nil {
		return 0, 0, missing(err, ErrNoMailbox, mailbox)
	}
	if c.Messages != uncounted {
		return c.Messages, c.Bytes, nil
	}
	return holds(tx, mailbox)
}

// count returns the counts of a mailbox, which its desk knows until they are changed. They
// are not to be.
func (t *Tx) count(mailbox string) (*Count, error) {
	s := t.service
	current := t.tx.Current(s.areas.counts)
	if current {
		if c := s.knownCount(mailbox); c != nil {
			return c, nil
		}
	}
	c, err := Counts.Get(t.tx, mailbox)
	if err != nil {
		return nil, err
	}
	if current {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.deskOf(mailbox).learnCount(&c)
	}
	return &c, nil
}

func (s *Service) knownCount(mailbox string) *Count {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.desks[mailbox]; d != nil {
		return d.count
	}
	return nil
}

func (d *desk) learnCount(c *Count) {
	if !d.numbered {
		d.numbered, d.last = true, c.Next-1
	}
	d.count = c
}

// nextNumber returns one that no message of the mailbox has had.
func (t *Tx) nextNumber(c *Count) (uint64, error) {
	last, known := t.service.lastNumber(c.Mailbox)
	if !known || !t.tx.CurrentBut() {
		return c.Next, nil
	}
	untouched, err := t.untouched(c.Mailbox)
	if err != nil || untouched {
		return last + 1, err
	}
	for w, err := range Messages.Written(t.tx, table.Prefix(c.Mailbox).Reverse()) {
		return max(last, w.Row.Number) + 1, err
	}
	return last + 1, nil
}

// lastNumber returns the highest number that a message of a mailbox has had, or a higher
// one.
func (s *Service) lastNumber(mailbox string) (last uint64, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.desks[mailbox]
	if d == nil {
		return 0, false
	}
	return d.last, d.numbered
}
