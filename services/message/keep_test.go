package message_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/message"
	"github.com/tuplix/tuplix/services/user"
)

// openMessages opens a store whose clock is the real one.
func openMessages(t *testing.T, disk vfs.FS) (*store.Store, *message.Service) {
	t.Helper()
	s, err := store.Open(t.Context(), disk, store.Options{}, append(message.Tables(), user.Tables()...)...)
	must(t, err)
	m, err := message.Open(t.Context(), s, message.Options{Log: t.Logf})
	must(t, err)
	return s, m
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestKeep: what is kept for a time only goes when that is over, though nobody publishes,
// sends or receives any more, and also if the time was over before the service was
// opened. What is kept longer, or for ever, stays.
func TestKeep(t *testing.T) {
	const keep = 200 * time.Millisecond
	for name, fill := range map[string]func(m *message.Service, to string) error{
		"topic": func(m *message.Service, to string) error {
			_, err := m.Publish(t.Context(), to, message.Outgoing{Body: []byte("x")})
			return err
		},
		"mailbox": func(m *message.Service, to string) error {
			_, err := m.Send(t.Context(), to, message.Outgoing{Body: []byte("x")})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := vfs.NewMem()
			s, m := openMessages(t, disk)
			must(t, m.CreateTopic(t.Context(), message.Topic{Name: "short", Keep: keep}))
			must(t, m.CreateTopic(t.Context(), message.Topic{Name: "long"}))
			must(t, m.CreateMailbox(t.Context(), message.Mailbox{Name: "dead"}))
			must(t, m.CreateMailbox(t.Context(), message.Mailbox{Name: "short", Keep: keep, Dead: "dead"}))
			must(t, m.CreateMailbox(t.Context(), message.Mailbox{Name: "long", Keep: time.Hour}))
			send := func(to string, n int) {
				for range n {
					must(t, fill(m, to))
				}
			}
			const many = 250 // more than one procedure removes
			send("long", 1)
			time.Sleep(keep) // what opening has set off is over
			send("short", many)
			time.Sleep(keep / 2) // another part of them stays for longer
			send("short", many)
			left(t, s, 0)
			send("short", many)
			m.Close()
			must(t, s.Close())
			time.Sleep(keep) // over before they are opened
			s, m = openMessages(t, disk)
			left(t, s, 0)
			must(t, s.View(t.Context(), func(tx *table.Tx) error {
				_, long := message.Publications.First(tx, table.Prefix("long"))
				if name == "mailbox" {
					_, dead := message.Messages.First(tx, table.Prefix("dead"))
					_, long = message.Messages.First(tx, table.Prefix("long"))
					long = errors.Join(dead, long)
				}
				return long
			}))
			m.Close()
			must(t, s.Close())
		})
	}
}

// TestKeepHeld: messages that are delayed or leased when their time is over go when they
// are ready again, and dead letters have the time of the mailbox that they came to, in
// which they do not go in circles.
func TestKeepHeld(t *testing.T) {
	const keep = 200 * time.Millisecond
	s, m := openMessages(t, vfs.NewMem())
	must(t, m.CreateMailbox(t.Context(), message.Mailbox{Name: "dead", Keep: time.Hour}))
	must(t, m.CreateMailbox(t.Context(), message.Mailbox{Name: "short", Keep: keep, Lease: 3 * keep, Dead: "dead"}))
	must(t, m.AlterMailbox(t.Context(), message.Mailbox{Name: "dead", Lease: time.Minute, Keep: time.Hour, Dead: "short"}))
	send := func(o message.Outgoing) {
		_, err := m.Send(t.Context(), "short", o)
		must(t, err)
	}
	send(message.Outgoing{Body: []byte("leased")})
	_, err := m.Receive(t.Context(), "short")
	must(t, err)
	send(message.Outgoing{Body: []byte("ready")})
	send(message.Outgoing{Body: []byte("delayed"), Delay: 2 * keep})
	left(t, s, 0)
	dead := 0
	must(t, s.View(t.Context(), func(tx *table.Tx) error {
		for _, err := range message.Messages.Scan(tx, table.Prefix("dead")) {
			if err != nil {
				return err
			}
			dead++
		}
		return nil
	}))
	if dead != 3 {
		t.Errorf("%d dead letters", dead)
	}
	m.Close()
	must(t, s.Close())
}

// left waits until there are n messages in what is called short.
func left(t *testing.T, s *store.Store, n int) {
	t.Helper()
	deadline := time.Now().Add(keepPatience)
	for {
		found := 0
		must(t, s.View(t.Context(), func(tx *table.Tx) error {
			found = 0
			for _, err := range message.Messages.Scan(tx, table.Prefix("short")) {
				if err != nil {
					return err
				}
				found++
			}
			for _, err := range message.Publications.Scan(tx, table.Prefix("short")) {
				if err != nil {
					return err
				}
				found++
			}
			return nil
		}))
		if found == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d messages are left", found)
		}
		time.Sleep(keepPatience / 10_000)
	}
}

// keepPatience is long beside what messages are kept for.
const keepPatience = time.Minute
