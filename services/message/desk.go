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
	box   *Mailbox     // its row; nil: not known
	count *Count       // likewise
	rows  engine.Range // the keys of its messages; zero: not known

	numbered bool   // last is right
	last     uint64 // no message has had a higher number

	known   bool     // of what is ready, ready and through are right
	ready   []uint64 // numbers of messages, in order: all that are ready, and some others
	through uint64   // but only up to this number
	due     int64    // no lease or delay ends before, in microseconds since 1970; or noDue

	changes uint64 // counts what may be news for those who wait
	queue   queue
	room    uint64      // counts what may make room, while there are Service.senders
	senders queue       // who wait for that
	timer   *time.Timer // wakes who waits when due has come; nil: not needed yet
	called  bool        // it is in Service.calledDesks
	used    bool        // lately
}

const (
	noDue      = 1<<63 - 1
	everything = 1<<64 - 1 // desk.through where ready is all that there is
	mostReady  = 256       // numbers that a desk knows
	mostRead   = 256 << 10 // bytes of bodies that are read to know them, and one message
	idleDesks  = 1024      // desks that are kept though nobody waits there
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
func (d *desk) forget() {
	d.box, d.count, d.rows, d.numbered = nil, nil, engine.Range{}, false
	d.known, d.ready = false, nil
}

// empty reports that looking for a message would be in vain.
func (d *desk) empty(now time.Time) bool {
	_, k := d.head(now)
	return d.box != nil && k == nothing
}

// knowledge is what a desk knows of the first message that is ready.
type knowledge int

const (
	unknown   knowledge = iota // the tables must be asked
	overdue                    // leases or delays may have ended
	nothing                    // there is none
	candidate                  // it is this one, or it is not ready and those behind it are next
)

// head returns the number of the first message that may be ready.
func (d *desk) head(now time.Time) (number uint64, k knowledge) {
	switch {
	case !d.known:
	case d.due <= now.UnixMicro():
		return 0, overdue
	case len(d.ready) > 0:
		return d.ready[0], candidate
	case d.through == everything:
		return 0, nothing
	}
	return 0, unknown
}

// put notes that a message is there, or was changed: it may be ready.
func (d *desk) put(number uint64) {
	if !d.known || number > d.through {
		return
	}
	n := len(d.ready)
	i, found := n, false
	if n > 0 && d.ready[n-1] >= number {
		i, found = slices.BinarySearch(d.ready, number)
	}
	if !found {
		d.ready = slices.Insert(d.ready, i, number)
	}
	if len(d.ready) > mostReady {
		d.ready = d.ready[:mostReady]
		d.through = d.ready[mostReady-1]
	}
}

// drop notes that a message is not ready.
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

// rows returns the keys of the messages of a mailbox.
func (t *Tx) rows(mailbox string) (engine.Range, error) {
	s := t.service
	s.mu.Lock()
	known := s.deskOf(mailbox).rows
	s.mu.Unlock()
	if known.Low != nil {
		return known, nil
	}
	r, err := Messages.Range(t.tx, table.Prefix(mailbox))
	if err == nil {
		s.mu.Lock()
		s.deskOf(mailbox).rows = r
		s.mu.Unlock()
	}
	return r, err
}

// head is that of the mailbox's desk.
func (t *Tx) head(mailbox string) (number uint64, k knowledge) {
	s := t.service
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deskOf(mailbox).head(t.now)
}

// notReady has the mailbox's desk know better. The transaction has not written there.
func (t *Tx) notReady(mailbox string, number uint64) {
	s := t.service
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deskOf(mailbox).drop(number)
}

// inHand returns what the desk of a mailbox knows: the numbers of all messages that may be
// ready, up to through.
func (s *Service) inHand(mailbox string) (numbers []uint64, through uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.desks[mailbox]
	if d == nil || !d.known {
		return nil, 0
	}
	return slices.Clone(d.ready), d.through
}

// overdue reports that leases or delays may have ended.
func (s *Service) overdue(mailbox string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.desks[mailbox]
	return d == nil || !d.known || d.due <= now.UnixMicro()
}

// learn has the desk of a mailbox know what the tables say, or more of it. The
// transaction has not written there.
func (t *Tx) learn(mailbox string) error {
	s := t.service
	s.mu.Lock()
	d := s.deskOf(mailbox)
	goesOn, from := d.known, uint64(0)
	if goesOn {
		from = d.through + 1
	}
	s.mu.Unlock()
	if !goesOn {
		if err := t.learnDue(mailbox); err != nil {
			return err
		}
	}
	numbers, through, err := t.numbers(mailbox, from)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d = s.deskOf(mailbox)
	d.ready, d.through, d.known = numbers, through, true
	return nil
}

// learnDue has the desk of a mailbox know when the first lease or delay ends. The
// transaction has not written there.
func (t *Tx) learnDue(mailbox string) error {
	first, err := due.First(t.tx, table.Prefix(mailbox))
	if err != nil && !errors.Is(err, table.ErrNotFound) {
		return err
	}
	ends := int64(noDue)
	if err == nil {
		ends = first.Due.UnixMicro()
	}
	s := t.service
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deskOf(mailbox).due = ends
	return nil
}

// numbers reads those of the first messages that are ready, from a number on, and up to
// which these are all.
func (t *Tx) numbers(mailbox string, from uint64) (list []uint64, through uint64, err error) {
	read := 0
	for x, err := range Messages.Scan(t.tx, table.From(mailbox, from).Through(mailbox)) {
		if err != nil {
			return nil, 0, err
		}
		if x.State == Ready {
			list = append(list, x.Number)
		}
		read += len(x.Body)
		if len(list) == mostReady || read >= mostRead && len(list) > 0 {
			return list, x.Number, nil
		}
	}
	return list, everything, nil
}
