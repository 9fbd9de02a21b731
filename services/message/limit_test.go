package message_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/message"
)

// A mailbox that gets a limit counts what it holds from then on, whoever has set the limit
// and whoever comes first; one that loses it does not.
func TestLimitLater(t *testing.T) {
	s, m := real(t)
	ctx := deadline(t)
	update := func(fn func(tx *table.Tx) error) {
		t.Helper()
		if _, err := s.Update(ctx, nil, fn); err != nil {
			t.Fatal(err)
		}
	}
	counted := func(want int64) {
		t.Helper()
		update(func(tx *table.Tx) error {
			c, err := message.Counts.Get(tx, "box")
			if c.Messages != want {
				t.Errorf("counted are %d, want %d", c.Messages, want)
			}
			return err
		})
	}
	take := func() {
		t.Helper()
		if err := m.Process(ctx, "box", func(*table.Tx, message.Message) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	past := func(limit int64) {
		t.Helper()
		update(func(tx *table.Tx) error {
			x, err := message.Mailboxes.Get(tx, "box")
			x.Limit = limit
			return errors.Join(err, message.Mailboxes.Update(tx, &x))
		})
	}
	send := func(full bool) {
		t.Helper()
		if _, err := m.Send(ctx, "box", message.Outgoing{}); errors.Is(err, message.ErrFull) != full || !full && err != nil {
			t.Errorf("sent: %v, full: %v", err, full)
		}
	}
	create(t, m, message.Mailbox{Name: "box"})
	for range 3 {
		send(false)
	}
	counted(-1)
	if err := m.AlterMailbox(ctx, message.Mailbox{Name: "box", Lease: time.Minute, Limit: 4}); err != nil {
		t.Fatal(err)
	}
	counted(3)
	send(false)
	send(true)
	past(0)
	send(false)
	counted(-1)
	past(5)
	send(true)
	waits := make(chan error)
	go func() {
		_, err := m.SendWait(ctx, "box", message.Outgoing{})
		waits <- err
	}()
	take() // which counts
	if err := <-waits; err != nil {
		t.Error(err)
	}
	counted(5)
	take()
	counted(4)
}
