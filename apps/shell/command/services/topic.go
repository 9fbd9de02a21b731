package services

import (
	"context"
	"errors"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/message"
	"github.com/tuplix/tuplix/services/system"
)

func topics(open Open) *command.Command {
	name := keys(message.Topics, func(t *message.Topic) string { return t.Name })
	return command.Group("topic", "topics, where every subscriber gets each message",
		listed(open, "list", "list the topics", message.Topics, []string{"topic", "published", "owner", "keep", "limit"},
			func(t *message.Topic) []any {
				return []any{t.Name, max(t.Next, 1) - 1, t.Owner, span0(t.Keep), limit(uint32(t.Limit))}
			}),
		topicCreate(open), open.completed(topicDelete(open), name), open.completed(topicSend(open), name),
		open.completed(topicReceive(open), name),
		listed(open, "subscriptions", "list who comes back to which topic", message.Subscriptions,
			[]string{"topic", "subscription", "owner", "read"},
			func(s *message.Subscription) []any { return []any{s.Topic, s.Name, s.Owner, s.Offset} }),
		topicUnsubscribe(open))
}

func topicCreate(open Open) *command.Command {
	return open.verb("create", "[--keep time] [--limit count] name", "make a topic", func(c *command.Call) (job, error) {
		o := c.Options()
		keep := o.String("keep", "TIME", "", "how long messages are kept; for ever if not told")
		most := o.Int("limit", "N", 0, 0, "how many are kept")
		args, err := o.Parse(1, 1)
		t := message.Topic{Limit: int64(*most)}
		err = errors.Join(err, span(&t.Keep, "--keep", *keep))
		return func(ctx context.Context, s *system.System) error {
			t.Name = args[0]
			return s.Message.CreateTopic(ctx, t)
		}, err
	})
}

func topicDelete(open Open) *command.Command {
	return open.verb("delete", "name", "remove a topic with its messages and subscriptions", func(c *command.Call) (job, error) {
		args, err := c.Options().Parse(1, 1)
		return func(ctx context.Context, s *system.System) error { return s.Message.DeleteTopic(ctx, args[0]) }, err
	})
}

func topicSend(open Open) *command.Command {
	return open.verb("send", "[-k key] topic [text...]", "publish a message: the words, or the input", func(c *command.Call) (job, error) {
		o := c.Options()
		key := o.String("k,key", "TEXT", "", "what it is about")
		args, err := o.Parse(1, -1)
		return func(ctx context.Context, s *system.System) error {
			text, err := body(c, args[1:])
			if err != nil {
				return err
			}
			_, err = s.Message.Publish(ctx, args[0], message.Outgoing{Key: *key, Body: text, Durable: true})
			return messageError(err)
		}, err
	})
}

func topicReceive(open Open) *command.Command {
	return open.verb("receive", "[--old] [--now] [-s subscription] [-n count] [--json] topic",
		"print messages of a topic: the next one, or with a subscription what came since the last time", func(c *command.Call) (job, error) {
			o := c.Options()
			old := o.Flag("old", "begin with the oldest that is kept, not with what comes")
			now := o.Flag("now", "do not wait: end where there are no more")
			name := o.String("s,subscription", "NAME", "", "go on where this subscription stands; it is made if there is none")
			count := o.Int("n,count", "N", 1, 0, "so many messages; 0: until Ctrl-C")
			json := o.Flag("json", jsonHelp)
			args, err := o.Parse(1, 1)
			return func(ctx context.Context, s *system.System) error {
				from := message.Newest
				if *old {
					from = message.Oldest
				}
				r, err := topicReader(ctx, s, args[0], *name, from)
				if err != nil {
					return messageError(err)
				}
				for i := 0; *count == 0 || i < *count; i++ {
					err := receivePublication(ctx, c, r, *name != "", *now, *json)
					if errors.Is(err, message.ErrEmpty) && i > 0 {
						return nil
					}
					if err != nil {
						return err
					}
				}
				return nil
			}, err
		})
}

func topicReader(ctx context.Context, s *system.System, topic, subscription string, from message.From) (*message.Reader, error) {
	if subscription == "" {
		return s.Message.Follow(ctx, topic, from)
	}
	if err := s.Message.Subscribe(ctx, topic, subscription, from); err != nil {
		return nil, err
	}
	return s.Message.Resume(ctx, topic, subscription)
}

func receivePublication(ctx context.Context, c *command.Call, r *message.Reader, ack, now, json bool) error {
	next := r.Next
	if now {
		next = r.TryNext
	}
	p, err := next(ctx)
	if err != nil {
		return err
	}
	if json {
		err = command.JSONLine(c.Out, []string{"offset", "key", "body", "headers", "user", "task", "at"},
			[]any{p.Offset, p.Key, p.Body, p.Headers, p.User, p.Task, p.At})
	} else {
		err = printBody(c, p.Body)
	}
	if err != nil || !ack {
		return err
	}
	return r.Ack(context.WithoutCancel(ctx), p.Offset)
}

func topicUnsubscribe(open Open) *command.Command {
	cmd := open.verb("unsubscribe", "topic subscription", "remove a subscription", func(c *command.Call) (job, error) {
		args, err := c.Options().Parse(2, 2)
		return func(ctx context.Context, s *system.System) error { return s.Message.Unsubscribe(ctx, args[0], args[1]) }, err
	})
	return open.completed(cmd, func(ctx context.Context, tx *table.Tx) ([]string, error) {
		return keys(message.Topics, func(t *message.Topic) string { return t.Name })(ctx, tx)
	})
}
