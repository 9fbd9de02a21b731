package message_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/message"
)

// Whatever transactions do with the messages of two mailboxes, by the service and past it,
// and whether they commit: what is received next is what the rows say, and no number is
// given away twice.
func TestRandom(t *testing.T) {
	for seed := range uint64(3) {
		r := &randomly{fixture: open(t, vfs.NewMem()), Rand: rand.New(rand.NewPCG(seed, 8)), last: map[string]uint64{}}
		create(t, r.Service, message.Mailbox{Name: "free", Lease: 10 * time.Second}, message.Mailbox{Name: "narrow", Limit: 2000, Lease: 10 * time.Second})
		for range 200 {
			r.step()
			if err := r.CheckMemory(t.Context()); err != nil || t.Failed() {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
}

type randomly struct {
	*fixture
	*rand.Rand
	last map[string]uint64 // numbers of messages that were sent and are there, or were
	held []*message.Delivery
}

var errEnough = errors.New("enough")

// step runs a transaction, or does something else.
func (r *randomly) step() {
	switch r.IntN(8) {
	case 0:
		r.now = r.now.Add(time.Duration(r.IntN(6)) * time.Second)
	case 1:
		d, err := r.TryReceive(r.Context(), r.box())
		if err == nil {
			r.held = append(r.held, d)
		} else if !errors.Is(err, message.ErrEmpty) {
			r.Error(err)
		}
	case 2:
		if n := r.IntN(20); n == 0 {
			r.close()
			r.reopen()
			r.held = nil
		}
	default:
		sent := map[string]uint64{}
		_, err := r.store.Update(r.Context(), nil, func(tx *table.Tx) error {
			for n := r.IntN(5); n >= 0; n-- {
				if err := r.one(tx, sent); err != nil {
					return err
				}
			}
			if r.IntN(5) == 0 {
				return errEnough
			}
			return nil
		})
		if err == nil {
			for box, n := range sent {
				r.last[box] = max(r.last[box], n)
			}
		} else if !errors.Is(err, errEnough) {
			r.Error(err)
		}
	}
}

func (r *randomly) box() string { return []string{"free", "narrow"}[r.IntN(2)] }

// one does one thing in a transaction.
func (r *randomly) one(tx *table.Tx, sent map[string]uint64) error {
	m, box := r.In(r.Context(), tx), r.box()
	switch r.IntN(10) {
	case 0: // many, so that not all are in memory
		held, _, err := message.Holds(tx, box)
		if err != nil || held > 300 {
			return err
		}
		for range 150 {
			if err := r.send(m, box, message.Outgoing{}, sent); err != nil {
				return err
			}
		}
	case 1, 2, 3:
		o := message.Outgoing{Body: []byte("body")}
		if r.IntN(4) == 0 {
			o.Key = fmt.Sprint(r.IntN(3))
		}
		if r.IntN(4) == 0 {
			o.Delay = time.Duration(r.IntN(10)) * time.Second
		}
		return r.send(m, box, o, sent)
	case 4:
		for len(r.held) > 0 {
			d := r.held[0]
			r.held = r.held[1:]
			if err := m.Ack(d); !errors.Is(err, message.ErrLost) {
				return err
			}
		}
	case 5:
		return r.change(tx, box)
	default:
		return r.take(m, tx, box)
	}
	return nil
}

func (r *randomly) send(m *message.Tx, box string, o message.Outgoing, sent map[string]uint64) error {
	n, err := m.Send(box, o)
	if errors.Is(err, message.ErrFull) {
		return nil
	}
	if err == nil && n <= max(sent[box], r.last[box]) {
		r.Errorf("number %d of %s was given away before: %v %v, %+v", n, box, sent, r.last, o)
	}
	sent[box] = n
	return err
}

// change changes a row past the service.
func (r *randomly) change(tx *table.Tx, box string) error {
	var rows []message.Message
	for x, err := range message.Messages.Scan(tx, table.Prefix(box).Limit(20)) {
		if err != nil {
			return err
		}
		rows = append(rows, x)
	}
	if len(rows) == 0 {
		return nil
	}
	x := rows[r.IntN(len(rows))]
	x.State, x.Due = []message.State{message.Ready, message.Dead, message.Delayed}[r.IntN(3)], r.now.Add(time.Duration(1+r.IntN(5))*time.Second)
	return message.Messages.Update(tx, &x)
}

// take receives the message that is the first by the rows.
func (r *randomly) take(m *message.Tx, tx *table.Tx, box string) error {
	want := uint64(0)
	for x, err := range message.Messages.Scan(tx, table.Prefix(box)) {
		if err != nil {
			return err
		}
		waits := x.State == message.Leased || x.State == message.Delayed
		if x.State == message.Ready || waits && !x.Due.After(r.now) {
			want = x.Number
			break
		}
	}
	got, err := m.Take(box)
	if errors.Is(err, message.ErrEmpty) {
		err = nil
	}
	if got.Number != want {
		r.Errorf("%s: received %d, the first is %d", box, got.Number, want)
	}
	return err
}
