package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/message"
	"github.com/tuplix/tuplix/services/system"
)

func messages(open Open) *command.Command {
	name := keys(message.Mailboxes, func(m *message.Mailbox) string { return m.Name })
	return command.Group("message", "mailboxes, where each message is for one receiver",
		mailboxList(open), mailboxCreate(open),
		open.completed(mailboxDelete(open), name), open.completed(mailboxSend(open), name),
		open.completed(mailboxReceive(open), name), open.completed(mailboxPeek(open), name))
}

// mailboxList shows the mailboxes that the caller may read the tables of.
func mailboxList(open Open) *command.Command {
	return open.verb("list", "[--json]", "list the mailboxes and what waits in them", func(c *command.Call) (job, error) {
		o := c.Options()
		json := o.Flag("json", jsonHelp)
		_, err := o.Parse(0, 0)
		return func(ctx context.Context, s *system.System) error {
			held, err := holdings(ctx, s)
			if err != nil {
				return err
			}
			list := c.List(*json, "mailbox", "messages", "bytes", "owner", "lease", "deliveries", "dead", "keep")
			err = listTable(ctx, s, message.Mailboxes, table.Span{}, func(m message.Mailbox) error {
				n := held[m.Name]
				return list.Row(m.Name, n.messages, n.bytes, m.Owner, m.Lease, limit(uint32(m.Deliveries)), m.Dead, span0(m.Keep))
			})
			return errors.Join(err, list.End())
		}, err
	})
}

type holding struct{ messages, bytes int64 }

// holdings returns what mailboxes hold.
func holdings(ctx context.Context, s *system.System) (map[string]holding, error) {
	held := map[string]holding{}
	return held, s.Store.View(ctx, func(tx *table.Tx) error {
		if err := mayRead(ctx, tx, message.Counts.Name()); err != nil {
			return err
		}
		for c, err := range message.Counts.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			messages, bytes, err := message.Holds(tx, c.Mailbox)
			if err != nil {
				return err
			}
			held[c.Mailbox] = holding{messages, bytes}
		}
		return nil
	})
}

// span0 is a time span of which 0 is none.
func span0(d time.Duration) any {
	if d == 0 {
		return nil
	}
	return d
}

func mailboxCreate(open Open) *command.Command {
	return open.verb("create", "[--lease time] [--deliveries count] [--dead mailbox] [--limit count] name", "make a mailbox",
		func(c *command.Call) (job, error) {
			o := c.Options()
			lease := o.String("lease", "TIME", "", "how long a receiver has a message until another may")
			deliveries := o.Int("deliveries", "N", 0, 0, "after so many without an answer a message is dead")
			dead := o.String("dead", "MAILBOX", "", "where dead messages go; without it they stay, as dead")
			most := o.Int("limit", "N", 0, 0, "how many messages it holds")
			args, err := o.Parse(1, 1)
			m := message.Mailbox{Deliveries: int64(*deliveries), Dead: *dead, Limit: int64(*most)}
			err = errors.Join(err, span(&m.Lease, "--lease", *lease))
			return func(ctx context.Context, s *system.System) error {
				m.Name = args[0]
				return s.Message.CreateMailbox(ctx, m)
			}, err
		})
}

func mailboxDelete(open Open) *command.Command {
	return open.verb("delete", "name", "remove a mailbox and its messages", func(c *command.Call) (job, error) {
		args, err := c.Options().Parse(1, 1)
		return func(ctx context.Context, s *system.System) error { return s.Message.DeleteMailbox(ctx, args[0]) }, err
	})
}

// body is the text of a message: the words, or the input where there are none.
func body(c *command.Call, words []string) ([]byte, error) {
	if len(words) > 0 {
		return []byte(strings.Join(words, " ")), nil
	}
	text, err := io.ReadAll(io.LimitReader(c.In, message.MaxBody+1))
	if err == nil && len(text) > message.MaxBody {
		err = fmt.Errorf("the input has more than the %d bytes of a message", message.MaxBody)
	}
	return text, err
}

func mailboxSend(open Open) *command.Command {
	return open.verb("send", "[-k key] [--id text] [--delay time] mailbox [text...]", "send a message: the words, or the input",
		func(c *command.Call) (job, error) {
			o := c.Options()
			key := o.String("k,key", "TEXT", "", "messages of one key are received in order, one at a time")
			id := o.String("id", "TEXT", "", "it is sent once, however often this is repeated")
			delay := o.String("delay", "TIME", "", "until it may be received")
			args, err := o.Parse(1, -1)
			out := message.Outgoing{Key: *key, ID: *id, Durable: true}
			err = errors.Join(err, span(&out.Delay, "--delay", *delay))
			return func(ctx context.Context, s *system.System) error {
				if out.Body, err = body(c, args[1:]); err != nil {
					return err
				}
				_, err = s.Message.Send(ctx, args[0], out)
				return messageError(err)
			}, err
		})
}

// messageError says what to do about a name that nobody knows.
func messageError(err error) error {
	switch {
	case errors.Is(err, message.ErrNoMailbox):
		return fmt.Errorf("%w; message create makes one", err)
	case errors.Is(err, message.ErrNoTopic):
		return fmt.Errorf("%w; topic create makes one", err)
	}
	return err
}

func mailboxReceive(open Open) *command.Command {
	return open.verb("receive", "[--now] [-n count] [--json] mailbox", "wait for a message, print it and take it",
		func(c *command.Call) (job, error) {
			o := c.Options()
			now := o.Flag("now", "do not wait: status 1 if there is none")
			count := o.Int("n,count", "N", 1, 0, "so many messages; 0: until Ctrl-C")
			json := o.Flag("json", jsonHelp)
			args, err := o.Parse(1, 1)
			return func(ctx context.Context, s *system.System) error {
				for i := 0; *count == 0 || i < *count; i++ {
					if err := receiveOne(ctx, c, s, args[0], *now, *json); err != nil {
						return messageError(err)
					}
				}
				return nil
			}, err
		})
}

// receiveOne takes a message once it is printed.
func receiveOne(ctx context.Context, c *command.Call, s *system.System, mailbox string, now, json bool) error {
	receive := s.Message.Receive
	if now {
		receive = s.Message.TryReceive
	}
	d, err := receive(ctx, mailbox)
	if err != nil {
		return err
	}
	if err := printMessage(c, &d.Message, json); err != nil {
		return errors.Join(err, d.Nack(context.WithoutCancel(ctx), 0))
	}
	return d.Ack(context.WithoutCancel(ctx))
}

func printMessage(c *command.Call, m *message.Message, json bool) error {
	if json {
		return command.JSONLine(c.Out, []string{"number", "state", "key", "body", "headers", "user", "task", "sent", "deliveries"},
			[]any{m.Number, m.State, m.Key, m.Body, m.Headers, m.User, m.Task, m.Sent, m.Deliveries})
	}
	return printBody(c, m.Body)
}

// printBody prints a message as it is, on a line of its own; on a terminal, so that
// it cannot give orders to it.
func printBody(c *command.Call, body []byte) error {
	text := strings.TrimSuffix(string(body), "\n")
	if _, terminal := c.Terminal(); terminal {
		lines := strings.Split(text, "\n")
		for i := range lines {
			lines[i] = command.Shown(lines[i])
		}
		text = strings.Join(lines, "\n")
	}
	_, err := fmt.Fprintln(c.Out, text)
	return err
}

func mailboxPeek(open Open) *command.Command {
	return open.verb("peek", "[-n count] [--json] mailbox", "list what is in a mailbox, and take nothing", func(c *command.Call) (job, error) {
		o := c.Options()
		most := o.Int("n,limit", "N", 100, 0, "at most so many, 100 if not told; 0: all")
		json := o.Flag("json", jsonHelp)
		args, err := o.Parse(1, 1)
		return func(ctx context.Context, s *system.System) error {
			list := c.List(*json, "number", "state", "key", "body", "user", "sent", "due", "deliveries")
			err := listTable(ctx, s, message.Messages, table.Prefix(args[0]).Limit(*most), func(m message.Message) error {
				return list.Row(m.Number, m.State, m.Key, m.Body, m.User, m.Sent, m.Due, m.Deliveries)
			})
			return errors.Join(err, list.End())
		}, err
	})
}
