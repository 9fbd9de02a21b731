package message_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/message"
	"github.com/tuplix/tuplix/services/user"
)

// olderMessages is the table of messages as it was when those that were ready had an entry
// of an index.
var olderMessages = table.Declare[message.Message]("os.messages")

func init() {
	olderMessages.Index("ready", "mailbox", "number").Where("state = 'ready'")
	olderMessages.Index("due", "mailbox", "due").Where("state = 'leased' or state = 'delayed'")
	olderMessages.Index("key", "mailbox", "key", "number").Where("key != '' and state != 'dead'")
}

// older makes a store as it was made then: all messages were counted, and numbers were
// given away one by one.
func older(t *testing.T, now time.Time) vfs.FS {
	t.Helper()
	fs := vfs.NewMem()
	var tables []table.Declared
	for _, d := range append(message.Tables(), user.Tables()...) {
		if d != message.Messages {
			tables = append(tables, d)
		}
	}
	s, err := store.Open(t.Context(), fs, store.Options{}, append(tables, olderMessages)...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Update(t.Context(), nil, func(tx *table.Tx) error {
		var errs []error
		for _, m := range []message.Mailbox{{Name: "free"}, {Name: "narrow", Limit: 6}} {
			m.Lease = time.Minute
			errs = append(errs, message.Mailboxes.Insert(tx, &m), message.Counts.Insert(tx, &message.Count{Mailbox: m.Name, Next: 10, Token: 3, Messages: 5, Bytes: 5}))
			for _, x := range []message.Message{
				{Number: 3, State: message.Delayed, Due: now.Add(time.Second)},
				{Number: 5, State: message.Leased, Key: "k", Due: now.Add(time.Second), Token: 3, Deliveries: 1},
				{Number: 6, State: message.Blocked, Key: "k"},
				{Number: 7, State: message.Ready},
				{Number: 9, State: message.Ready},
			} {
				x.Mailbox, x.Body, x.Sent = m.Name, fmt.Append(nil, x.Number), now
				errs = append(errs, olderMessages.Insert(tx, &x))
			}
		}
		return errors.Join(errs...)
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return fs
}

// What older stores hold is delivered, in order, and what is sent comes behind it.
func TestOlderStore(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := open(t, older(t, now))
	ctx := t.Context()
	if err := f.store.Work(ctx, &engine.Op{}); err != nil { // the entries of the index go
		t.Fatal(err)
	}
	for _, box := range []string{"free", "narrow"} {
		if n, err := f.Send(ctx, box, message.Outgoing{Body: []byte("x")}); n != 10 || err != nil {
			t.Errorf("%s: sent as %d, %v", box, n, err)
		}
		if _, err := f.Send(ctx, box, message.Outgoing{}); errors.Is(err, message.ErrFull) != (box == "narrow") {
			t.Errorf("%s: %v", box, err)
		}
	}
	f.now = f.now.Add(time.Hour)
	for box, want := range map[string][]uint64{"free": {3, 5, 6, 7, 9, 10, 11}, "narrow": {3, 5, 6, 7, 9, 10}} {
		for i := range want {
			x := f.takeOne(ctx, box)
			if x.Number != want[i] {
				t.Errorf("%s: received %d, want %d", box, x.Number, want[i])
			}
		}
		held := func(tx *table.Tx) error {
			messages, bytes, err := message.Holds(tx, box)
			if messages != 0 || bytes != 0 {
				t.Errorf("%s holds %d messages of %d bytes", box, messages, bytes)
			}
			return err
		}
		if err := f.store.View(ctx, held); err != nil {
			t.Error(err)
		}
	}
	f.close()
	f.reopen()
	if n, err := f.Send(ctx, "narrow", message.Outgoing{}); n != 11 || err != nil {
		t.Errorf("sent as %d, %v", n, err)
	}
}

func (f *fixture) takeOne(ctx context.Context, box string) (x message.Message) {
	f.Helper()
	_, err := f.store.Update(ctx, nil, func(tx *table.Tx) (err error) {
		x, err = f.In(ctx, tx).Take(box)
		return err
	})
	if err != nil {
		f.Error(err)
	}
	return x
}
