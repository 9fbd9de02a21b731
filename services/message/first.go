package message

import (
	"errors"

	"github.com/tuplix/tuplix/dbms/table"
)

// expireAtOnce is how many leases and delays that have ended one procedure looks
// after.
const expireAtOnce = 100

// next finds the first message that is ready, after those have become so whose
// time has come, and puts it into x. What nobody received in time is dead.
func (t *Tx) next(m *Mailbox, x *Message) (found bool, err error) {
	for {
		found, err = t.first(m, x)
		if err != nil || !found || m.Keep == 0 || t.now.Sub(x.keptFrom()) < m.Keep {
			return found, err
		}
		if err := t.bury(m, x); err != nil {
			return false, err
		}
	}
}

// first is next without a look at how old the message is. What there was before the
// transaction the mailbox's desk knows, if the transaction is one that it is for.
func (t *Tx) first(m *Mailbox, x *Message) (found bool, err error) {
	if !t.tx.CurrentBut() {
		if _, err := t.expire(m); err != nil {
			return false, err
		}
		return t.search(m.Name, 0, x)
	}
	untouched, err := t.untouched(m.Name)
	if err != nil {
		return false, err
	}
	if untouched {
		return t.firstKnown(m, x)
	}
	if t.service.overdue(m.Name, t.now) {
		if _, err := t.expire(m); err != nil {
			return false, err
		}
	}
	return t.firstBeside(m, x)
}

// untouched reports that the transaction has not written messages of a mailbox.
func (t *Tx) untouched(mailbox string) (bool, error) {
	if t.tx.Current(t.service.areas.messages) {
		return true, nil
	}
	r, err := t.rows(mailbox)
	return err == nil && t.tx.Current(r), err
}

// firstKnown is first for a transaction that has not written messages of the mailbox.
func (t *Tx) firstKnown(m *Mailbox, x *Message) (found bool, err error) {
	for {
		switch number, k := t.head(m.Name); k {
		case nothing:
			return false, nil
		case unknown:
			err = t.learn(m.Name)
		case overdue:
			n, err := t.expire(m)
			if err != nil {
				return false, err
			}
			if n > 0 {
				return t.firstBeside(m, x)
			}
			if err := t.learnDue(m.Name); err != nil {
				return false, err
			}
		default:
			if found, err = t.readReady(m.Name, number, x); found {
				return true, nil
			}
			t.notReady(m.Name, number)
		}
		if err != nil {
			return false, err
		}
	}
}

// readReady reads a message, if it is ready.
func (t *Tx) readReady(mailbox string, number uint64, x *Message) (ready bool, err error) {
	x.Mailbox, x.Number = mailbox, number
	err = Messages.Read(t.tx, x)
	if errors.Is(err, table.ErrNotFound) {
		return false, nil
	}
	return err == nil && x.State == Ready, err
}

// firstBeside is first for a transaction that has written messages of the mailbox: of
// those that were ready before, the desk knows the first.
func (t *Tx) firstBeside(m *Mailbox, x *Message) (found bool, err error) {
	numbers, through := t.service.inHand(m.Name)
	own, err := t.firstWritten(m.Name)
	if err != nil {
		return false, err
	}
	for _, n := range numbers {
		if own <= n {
			break
		}
		if found, err := t.readReady(m.Name, n, x); found || err != nil {
			return found, err
		}
	}
	switch {
	case own <= through && own != noNumber:
		return t.readReady(m.Name, own, x)
	case through == everything:
		return false, nil
	}
	return t.search(m.Name, through+1, x)
}

// noNumber is none that a message has.
const noNumber = everything

// firstWritten returns the first message of a mailbox that is ready among those that the
// transaction has written, or noNumber.
func (t *Tx) firstWritten(mailbox string) (uint64, error) {
	for w, err := range Messages.Written(t.tx, table.Prefix(mailbox)) {
		if err != nil || !w.Deleted && w.Row.State == Ready {
			return w.Row.Number, err
		}
	}
	return noNumber, nil
}

// search looks for the first message that is ready among those of a number, or a higher
// one.
func (t *Tx) search(mailbox string, from uint64, x *Message) (found bool, err error) {
	for row, err := range Messages.Scan(t.tx, table.From(mailbox, from).Through(mailbox)) {
		if err != nil {
			return false, err
		}
		if row.State == Ready {
			*x = row
			return true, nil
		}
	}
	return false, nil
}

// expire makes messages ready whose lease or delay has ended, and returns how many it
// has changed.
func (t *Tx) expire(m *Mailbox) (int, error) {
	var over []Message
	for x, err := range due.Scan(t.tx, table.Prefix(m.Name).Through(m.Name, t.now).Limit(expireAtOnce)) {
		if err != nil {
			return 0, err
		}
		over = append(over, x)
	}
	for i := range over {
		if err := t.release(m, &over[i], 0); err != nil {
			return 0, err
		}
	}
	return len(over), nil
}
