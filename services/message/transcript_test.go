package message_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/internal/transcript"
	"github.com/tuplix/tuplix/services/message"
	"github.com/tuplix/tuplix/services/user"
)

// fixture is messages on a store in memory, with a clock of its own.
type fixture struct {
	*testing.T
	*message.Service
	store *store.Store
	fs    vfs.FS
	now   time.Time
}

func open(t *testing.T, fs vfs.FS) *fixture {
	t.Helper()
	f := &fixture{T: t, fs: fs, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	f.reopen()
	t.Cleanup(f.close)
	return f
}

func (f *fixture) reopen() {
	f.Helper()
	s, err := store.Open(f.Context(), f.fs, store.Options{}, append(message.Tables(), user.Tables()...)...)
	if err != nil {
		f.Fatal(err)
	}
	f.store = s
	if f.Service, err = message.Open(f.Context(), s, message.Options{Now: func() time.Time { return f.now }}); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) close() {
	f.Helper()
	if f.store == nil {
		return
	}
	if err := f.CheckMemory(context.Background()); err != nil {
		f.Error(err)
	}
	f.Service.Close()
	err := f.store.Check(context.Background(), func(p engine.Problem) { f.Error(p) })
	if err := errors.Join(err, f.store.Close()); err != nil {
		f.Fatal(err)
	}
	f.store = nil
}

func TestTranscripts(t *testing.T) {
	transcript.Run(t, "testdata/*.transcript", func(t *testing.T) func(string) string {
		s := &script{fixture: open(t, vfs.NewMem()), got: map[string]*message.Delivery{}, readers: map[string]*message.Reader{}}
		return s.run
	})
}

// script is a conversation with the service.
type script struct {
	*fixture
	user    string
	got     map[string]*message.Delivery
	readers map[string]*message.Reader
	out     strings.Builder
}

func (s *script) run(line string) string {
	s.out.Reset()
	words := strings.Fields(line)
	args := map[string]string{}
	var plain []string
	for _, w := range words[1:] {
		if name, value, ok := strings.Cut(w, "="); ok {
			args[name] = value
		} else {
			plain = append(plain, w)
		}
	}
	ctx := s.Context()
	if s.user != "" {
		ctx = user.With(ctx, user.Caller{User: s.user})
	}
	if err := s.command(ctx, words[0], plain, args); err != nil {
		fmt.Fprintln(&s.out, "error:", err)
	}
	if err := s.CheckMemory(s.Context()); err != nil {
		s.Errorf("after %q: %v", line, err)
	}
	return s.out.String()
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

func span(text string) time.Duration {
	d, _ := time.ParseDuration(text)
	return d
}

func (s *script) command(ctx context.Context, word string, plain []string, args map[string]string) (err error) {
	arg := func(i int) string {
		if i < len(plain) {
			return plain[i]
		}
		return ""
	}
	box := message.Mailbox{Name: arg(0), Limit: number(args["limit"]), Bytes: number(args["bytes"]), Lease: span(args["lease"]),
		Deliveries: number(args["deliveries"]), Dead: args["dead"], Keep: span(args["keep"])}
	outgoing := message.Outgoing{ID: args["id"], Key: args["key"], Body: []byte(arg(1)), Delay: span(args["delay"])}
	switch word {
	case "user":
		s.user = arg(0)
	case "grant", "revoke":
		g := user.Grant{Principal: arg(0), Right: user.Right(arg(1)), Kind: user.Kind(arg(2)), Object: arg(3)}
		_, err = s.store.Update(ctx, nil, func(tx *table.Tx) error {
			if word == "grant" {
				return user.Grants.Put(tx, &g)
			}
			return user.Grants.Delete(tx, g.Principal, g.Kind, g.Right, g.Object)
		})
	case "clock":
		s.now = s.now.Add(span(arg(0)))
	case "reopen":
		s.close()
		s.reopen()
	case "create":
		err = s.CreateMailbox(ctx, box)
	case "create-in":
		err = s.inTx(ctx, args["then"], func(t *message.Tx, _ *table.Tx) error { return t.CreateMailbox(box) })
	case "alter":
		err = s.AlterMailbox(ctx, box)
	case "remove":
		err = s.DeleteMailbox(ctx, arg(0))
	case "send":
		var n uint64
		if n, err = s.Send(ctx, arg(0), outgoing); err == nil {
			fmt.Fprintln(&s.out, n)
		}
	case "send-in":
		err = s.inTx(ctx, args["then"], func(t *message.Tx, _ *table.Tx) error {
			n, err := t.Send(arg(0), outgoing)
			if err == nil {
				fmt.Fprintln(&s.out, n)
			}
			return err
		})
	case "send-wait":
		var n uint64
		if n, err = s.SendWait(ctx, arg(0), outgoing); err == nil {
			fmt.Fprintln(&s.out, n)
		}
	case "process":
		err = s.Process(ctx, arg(0), func(_ *table.Tx, x message.Message) error {
			fmt.Fprintf(&s.out, "%d %s\n", x.Number, x.Body)
			return told(args["then"])
		})
	case "put":
		err = s.inTx(ctx, args["then"], func(_ *message.Tx, tx *table.Tx) error {
			return message.BoxOf[string](s.Service, arg(0)).SendIn(ctx, tx, arg(1))
		})
	case "put-now":
		err = message.BoxOf[string](s.Service, arg(0)).Send(ctx, arg(1))
	case "use":
		err = message.BoxOf[string](s.Service, arg(0)).Process(ctx, func(_ *table.Tx, v string) error {
			fmt.Fprintln(&s.out, v)
			return told(args["then"])
		})
	case "get":
		var v string
		if v, err = message.BoxOf[string](s.Service, arg(0)).Receive(ctx); err == nil {
			fmt.Fprintln(&s.out, v)
		}
	case "wait":
		var d *message.Delivery
		if d, err = s.Receive(ctx, arg(0)); err == nil {
			s.got[arg(1)] = d
			fmt.Fprintf(&s.out, "%d %s, delivery %d\n", d.Number, d.Body, d.Deliveries)
		}
	case "receive":
		var d *message.Delivery
		if d, err = s.TryReceive(ctx, arg(0)); err == nil {
			s.got[arg(1)] = d
			fmt.Fprintf(&s.out, "%d %s, delivery %d\n", d.Number, d.Body, d.Deliveries)
		}
	case "take":
		err = s.inTx(ctx, args["then"], func(t *message.Tx, _ *table.Tx) error {
			x, err := t.Take(arg(0))
			if err == nil {
				fmt.Fprintf(&s.out, "%d %s\n", x.Number, x.Body)
			}
			return err
		})
	case "ack":
		err = s.got[arg(0)].Ack(ctx)
	case "ack-in":
		err = s.inTx(ctx, args["then"], func(t *message.Tx, _ *table.Tx) error { return t.Ack(s.got[arg(0)]) })
	case "nack":
		err = s.got[arg(0)].Nack(ctx, span(args["delay"]))
	case "extend":
		err = s.got[arg(0)].Extend(ctx, span(arg(1)))
	case "show":
		err = s.show(arg(0))
	case "topic":
		err = s.CreateTopic(ctx, message.Topic{Name: arg(0), Keep: span(args["keep"]), Limit: number(args["limit"])})
	case "untopic":
		err = s.DeleteTopic(ctx, arg(0))
	case "publish":
		var n uint64
		if n, err = s.Publish(ctx, arg(0), outgoing); err == nil {
			fmt.Fprintln(&s.out, n)
		}
	case "forward": // from a mailbox to a topic
		err = s.inTx(ctx, args["then"], func(t *message.Tx, _ *table.Tx) error {
			x, err := t.Take(arg(0))
			if err != nil {
				return err
			}
			n, err := t.Publish(arg(1), message.Outgoing{Body: x.Body})
			if err == nil {
				fmt.Fprintf(&s.out, "%d %s\n", n, x.Body)
			}
			return err
		})
	case "subscribe":
		from := message.Newest
		if args["from"] == "oldest" {
			from = message.Oldest
		}
		err = s.Subscribe(ctx, arg(0), arg(1), from)
	case "unsubscribe":
		err = s.Unsubscribe(ctx, arg(0), arg(1))
	case "resume":
		s.readers[arg(2)], err = s.Resume(ctx, arg(0), arg(1))
	case "follow":
		s.readers[arg(1)], err = s.Follow(ctx, arg(0), message.Oldest)
	case "next":
		var x message.Publication
		if x, err = s.readers[arg(0)].Next(ctx); err == nil {
			fmt.Fprintf(&s.out, "%d %s\n", x.Offset, x.Body)
		}
	case "done-in":
		err = s.inTx(ctx, args["then"], func(t *message.Tx, _ *table.Tx) error {
			return t.AckTopic(s.readers[arg(0)], uint64(number(arg(1))))
		})
	case "read":
		err = s.read(ctx, arg(0))
	case "done":
		err = s.readers[arg(0)].Ack(ctx, uint64(number(arg(1))))
	default:
		s.Fatalf("what is %q?", word)
	}
	return err
}

// inTx runs fn in a transaction that then fails, if that is asked for.
func (s *script) inTx(ctx context.Context, then string, fn func(t *message.Tx, tx *table.Tx) error) error {
	_, err := s.store.Update(ctx, nil, func(tx *table.Tx) error {
		if err := fn(s.In(ctx, tx), tx); err != nil {
			return err
		}
		return told(then)
	})
	return err
}

func told(then string) error {
	if then == "fail" {
		return errors.New("the transaction was told to fail")
	}
	return nil
}

// show prints what a mailbox holds.
func (s *script) show(mailbox string) error {
	return s.store.View(s.Context(), func(tx *table.Tx) error {
		for x, err := range message.Messages.Scan(tx, table.Prefix(mailbox)) {
			if err != nil {
				return err
			}
			fmt.Fprintf(&s.out, "%d %s %s", x.Number, x.Body, x.State)
			if x.Key != "" {
				fmt.Fprintf(&s.out, " key %s", x.Key)
			}
			for _, h := range []string{message.HeaderMailbox, message.HeaderDeliveries} {
				if x.Headers[h] != "" {
					fmt.Fprintf(&s.out, " %s %s", h, x.Headers[h])
				}
			}
			s.out.WriteByte('\n')
		}
		messages, bytes, err := message.Holds(tx, mailbox)
		fmt.Fprintf(&s.out, "%d messages, %d bytes\n", messages, bytes)
		return err
	})
}

// read prints what a reader has without waiting.
func (s *script) read(ctx context.Context, reader string) error {
	for {
		x, err := s.readers[reader].TryNext(ctx)
		if errors.Is(err, message.ErrEmpty) {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(&s.out, "%d %s\n", x.Offset, x.Body)
	}
}
