package message

import (
	"errors"
	"slices"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
)

// desk is what is known of a mailbox in memory, and who waits there. The service's
// mutex guards it.
//
// What it knows it is told by the engine (observe.go): while a procedure runs, it is
// what that one sees, but for its own writes. It may know nothing, and a desk at which
// nobody waits may be dropped and made anew at any time.
type desk struct {
	box *Mailbox // its row; nil: not known

	known bool     // of what is ready, ready is the first
	ready []uint64 // numbers of messages, in order
	more  bool     // there may be others behind them
	due   int64    // no lease or delay ends before, in microseconds since 1970; or noDue

	changes uint64 // counts what may be news for those who wait
	queue   queue
	room    uint64      // counts what may make room, while there are Service.senders
	senders queue       // who wait for that
	timer   *time.Timer // wakes who waits when due has come; nil: not needed yet
	called  bool        // it is in Service.calledDesks
	used    bool        // lately
}

const (
	noDue     = 1<<63 - 1
	mostReady = 256  // numbers that a desk knows
	idleDesks = 1024 // desks that are kept though nobody waits there
)

// deskOf returns the desk of a mailbox. The mutex is held.
func (s *Service) deskOf(mailbox string) *desk {
	d := s.desks[mailbox]
	if d == nil {
		s.sweepDesks()
		d = &desk{due: noDue}
		s.desks[mailbox] = d
	}
	d.used = true
	return d
}

// sweepDesks drops some that nobody needs, once there are many.
func (s *Service) sweepDesks() {
	if len(s.desks) < s.mostDesks {
		return
	}
	for name, d := range s.desks {
		if d.queue.first == nil && d.senders.first == nil && !d.called && !d.used {
			delete(s.desks, name)
		}
		d.used = false
	}
	s.mostDesks = 2*len(s.desks) + idleDesks
}

// forget has the tables be asked.
func (d *desk) forget() { d.box, d.known, d.ready, d.more = nil, false, nil, false }

// empty reports that looking for a message would be in vain.
func (d *desk) empty(now time.Time) bool {
	_, found, known := d.head(now)
	return d.box != nil && known && !found
}

// head returns the first message that is ready. Known is false if the tables must be
// asked.
func (d *desk) head(now time.Time) (number uint64, found, known bool) {
	switch {
	case !d.known || d.due <= now.UnixMicro():
		return 0, false, false
	case len(d.ready) > 0:
		return d.ready[0], true, true
	}
	return 0, false, !d.more
}

// put notes that a message has become ready.
func (d *desk) put(number uint64) {
	n := len(d.ready)
	if !d.known || d.more && (n == 0 || d.ready[n-1] < number) {
		return // it is behind what is known
	}
	i, found := n, false
	if n > 0 && d.ready[n-1] >= number {
		i, found = slices.BinarySearch(d.ready, number)
	}
	if !found {
		d.ready = slices.Insert(d.ready, i, number)
	}
	if len(d.ready) > mostReady {
		d.ready, d.more = d.ready[:mostReady], true
	}
}

// drop notes that a message is no longer ready.
func (d *desk) drop(number uint64) {
	if i, found := slices.BinarySearch(d.ready, number); found {
		d.ready = slices.Delete(d.ready, i, i+1)
	}
}

// arm sets the timer for those who wait.
func (s *Service) arm(d *desk) {
	if d.due == noDue || d.queue.first == nil {
		return
	}
	wait := time.UnixMicro(d.due).Sub(s.now())
	if d.timer != nil {
		d.timer.Reset(wait)
		return
	}
	d.timer = time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		d.queue.wake()
	})
}

// box returns a mailbox's row, which must not be changed.
func (t *Tx) box(mailbox string) (*Mailbox, error) {
	s := t.service
	current := t.tx.Current(s.areas.boxes)
	if current {
		if m := s.knownBox(mailbox); m != nil {
			return m, nil
		}
	}
	m, err := Mailboxes.Get(t.tx, mailbox)
	if err != nil {
		return nil, missing(err, ErrNoMailbox, mailbox)
	}
	if current {
		s.mu.Lock()
		s.deskOf(mailbox).box = &m
		s.mu.Unlock()
	}
	return &m, nil
}

func (s *Service) knownBox(mailbox string) *Mailbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.desks[mailbox]; d != nil {
		return d.box
	}
	return nil
}

// current reports whether the desk of a mailbox shows what the transaction sees.
func (t *Tx) current(mailbox string) (bool, error) {
	s := t.service
	if t.tx.Current(s.areas.messages) {
		return true, nil
	}
	if !t.tx.Writable() {
		return false, nil
	}
	a, err := ready.Range(t.tx, table.Prefix(mailbox))
	if err != nil || !t.tx.Current(a) {
		return false, err
	}
	a, err = due.Range(t.tx, table.Prefix(mailbox))
	return err == nil && t.tx.Current(a), err
}

// head is that of the mailbox's desk, if it shows what the transaction sees.
func (t *Tx) head(mailbox string) (number uint64, found, known bool) {
	s := t.service
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deskOf(mailbox).head(t.now)
}

// learn has the desk of a mailbox know what the tables say. The transaction has not
// written there.
func (t *Tx) learn(mailbox string) error {
	first, err := due.First(t.tx, table.Prefix(mailbox))
	if err != nil && !errors.Is(err, table.ErrNotFound) {
		return err
	}
	ends := int64(noDue)
	if err == nil {
		ends = first.Due.UnixMicro()
	}
	numbers, more, known, err := t.numbers(mailbox)
	if err != nil {
		return err
	}
	s := t.service
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.deskOf(mailbox)
	d.due, d.ready, d.more, d.known = ends, numbers, more, known
	return nil
}

// numbers reads those of the first messages that are ready. Known is false while a
// restore of rows is not done with, as the index then lacks some.
func (t *Tx) numbers(mailbox string) (list []uint64, more, known bool, err error) {
	r, err := ready.Range(t.tx, table.Prefix(mailbox))
	if err != nil {
		return nil, false, false, err
	}
	busy, err := t.busy()
	if err != nil || busy || !t.service.areas.ready.Contains(r.Low) {
		return nil, false, false, err
	}
	c := t.tx.Raw().Scan(r, engine.ScanOptions{})
	for len(list) < mostReady && c.Next() {
		_, n, err := readyKey(c.Key()[len(t.service.areas.ready.Low):], nil)
		if err != nil {
			return nil, false, false, errors.Join(err, c.Close())
		}
		list = append(list, n)
	}
	return list, len(list) == mostReady, true, errors.Join(c.Err(), c.Close())
}

// busy reports that rows are being restored, or tables changed, in the background.
func (t *Tx) busy() (bool, error) {
	jobs, err := t.tx.Rows(table.JobsTable)
	if err != nil {
		return false, err
	}
	for _, err := range jobs.Scan("", table.Span{}.Limit(1)) {
		return true, err
	}
	return false, nil
}
