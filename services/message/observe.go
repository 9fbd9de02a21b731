package message

import (
	"context"
	"errors"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/dbms/table/key"
)

// areas are the keys in the store that the service is told of.
type areas struct {
	messages     engine.Range   // rows
	due          engine.Range   // their index by when leases and delays end
	boxes        engine.Range   // mailboxes
	counts       engine.Range   // and what they hold
	publications engine.Range   // of all topics
	catalog      []engine.Range // what changes with any table's definition, and when rows are restored
}

func (a *areas) all() []engine.Range {
	return append([]engine.Range{a.messages, a.due, a.boxes, a.counts, a.publications}, a.catalog...)
}

func (s *Service) findAreas(ctx context.Context) error {
	a := &s.areas
	return s.store.View(ctx, func(tx *table.Tx) error {
		var errs [5]error
		a.messages, errs[0] = Messages.Range(tx, table.Span{})
		a.due, errs[1] = due.Range(tx, table.Span{})
		a.boxes, errs[2] = Mailboxes.Range(tx, table.Span{})
		a.publications, errs[3] = Publications.Range(tx, table.Span{})
		a.counts, errs[4] = Counts.Range(tx, table.Span{})
		if err := errors.Join(errs[:]...); err != nil {
			return err
		}
		for _, name := range []string{table.StoreTable, table.JobsTable} {
			rows, err := tx.Rows(name)
			if err != nil {
				return err
			}
			r, err := rows.Range(table.Span{})
			if err != nil {
				return err
			}
			a.catalog = append(a.catalog, r)
		}
		return nil
	})
}

// observer has desks and feeds know what is committed, and then wakes who waits.
type observer struct{ *Service }

// Changed follows a key. It is called between transactions.
func (o observer) Changed(k []byte, deleted bool) {
	s, a := o.Service, &o.areas
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case a.messages.Contains(k):
		if deleted {
			s.removed++
		} else {
			s.written++
		}
		s.messageChanged(k[len(a.messages.Low):], deleted)
	case a.due.Contains(k):
		s.dueChanged(k[len(a.due.Low):], deleted)
	case a.publications.Contains(k):
		if !deleted {
			s.publications++
		}
		s.published(k[len(a.publications.Low):], deleted)
	case a.counts.Contains(k):
		s.countChanged(k[len(a.counts.Low):], deleted)
	case a.boxes.Contains(k):
		s.boxChanged(k[len(a.boxes.Low):])
	default:
		s.doubt()
	}
}

// Restored follows a restore of keys.
func (o observer) Restored(engine.Range) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.doubt()
}

// Committed wakes those for whom there is news.
func (o observer) Committed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, d := range o.calledDesks {
		o.calledDesks[i], d.called = nil, false
		if !d.empty(o.now()) {
			d.queue.wake()
		}
		d.senders.wake()
		o.arm(d)
	}
	o.calledDesks = o.calledDesks[:0]
	for i, f := range o.calledFeeds {
		o.calledFeeds[i], f.called = nil, false
		if !f.filling { // who fills it wakes all
			f.queue.wake()
		}
	}
	o.calledFeeds = o.calledFeeds[:0]
}

// call has those woken who wait at a desk.
func (s *Service) call(d *desk) {
	d.changes++
	if d.queue.first != nil {
		s.enlist(d)
	}
}

func (s *Service) enlist(d *desk) {
	if !d.called {
		d.called = true
		s.calledDesks = append(s.calledDesks, d)
	}
}

// callSenders has those woken who wait for room.
func (s *Service) callSenders(d *desk) {
	d.room++
	if d.senders.first != nil {
		s.enlist(d)
	}
}

// messageChanged follows a message. Its state the key does not tell; most are ready.
func (s *Service) messageChanged(k []byte, deleted bool) {
	mailbox, number, err := messageKey(k, s.scratch[:0])
	s.scratch = mailbox
	d := s.desks[string(mailbox)]
	switch {
	case err != nil:
		s.doubt() // the reader of that row complains
	case d == nil:
	case deleted:
		d.last = max(d.last, number) // if it came and went in one transaction
		d.drop(number)
	default:
		d.last = max(d.last, number)
		d.put(number)
		s.call(d)
	}
}

// messageKey takes the key of a message apart. The name is appended to to.
func messageKey(k, to []byte) (mailbox []byte, number uint64, err error) {
	mailbox, n, err := key.Text(to, k)
	if err == nil {
		number, _, err = key.Uint(k[n:])
	}
	return mailbox, number, err
}

// dueChanged follows an entry of a lease or a delay, which comes after its message.
func (s *Service) dueChanged(k []byte, deleted bool) {
	mailbox, n, err := key.Text(s.scratch[:0], k)
	s.scratch = mailbox
	ends, number := int64(0), uint64(0)
	if err == nil {
		ends, number, err = dueKey(k[n:])
	}
	d := s.desks[string(mailbox)]
	switch {
	case err != nil:
		s.doubt()
	case d == nil || deleted:
	default:
		d.drop(number)
		if ends < d.due {
			d.due = ends
			s.call(d)
		}
	}
}

// dueKey takes an entry of a lease or a delay apart, without the mailbox before it.
func dueKey(k []byte) (ends int64, number uint64, err error) {
	ends, n, err := key.Int(k)
	if err != nil {
		return 0, 0, err
	}
	again, err := key.Skip(k[n:], key.Column{Form: key.FormText}) // the message's key begins with the mailbox, too
	if err == nil {
		number, _, err = key.Uint(k[n+again:])
	}
	return ends, number, err
}

func (s *Service) boxChanged(k []byte) {
	name, _, err := key.Text(s.scratch[:0], k)
	s.scratch = name
	if err != nil {
		s.doubt()
	} else if d := s.desks[string(name)]; d != nil {
		d.box = nil
		s.call(d)
		s.callSenders(d)
	}
}

func (s *Service) countChanged(k []byte, deleted bool) {
	name, _, err := key.Text(s.scratch[:0], k)
	s.scratch = name
	d := s.desks[string(name)]
	switch {
	case err != nil:
		s.doubt()
	case d != nil:
		d.count = nil
		d.numbered = d.numbered && !deleted
		if s.senders > 0 {
			s.callSenders(d)
		}
	}
}

// doubt has everybody ask the tables.
func (s *Service) doubt() {
	for _, d := range s.desks {
		d.forget()
		s.call(d)
		s.callSenders(d)
	}
	for _, f := range s.feeds {
		f.forget()
		s.callFeed(f)
	}
}
