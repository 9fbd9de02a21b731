package message

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tuplix/tuplix/dbms/table"
)

// Box is a mailbox for values of one type, much like a channel that lasts. Bodies
// are JSON.
type Box[T any] struct {
	service *Service
	name    string
}

// BoxOf returns the mailbox of that name, for values of type T.
func BoxOf[T any](s *Service, name string) Box[T] { return Box[T]{s, name} }

// Send puts a value into the mailbox.
func (b Box[T]) Send(ctx context.Context, v T) error {
	body, err := json.Marshal(v)
	if err == nil {
		_, err = b.service.Send(ctx, b.name, Outgoing{Body: body})
	}
	return err
}

// SendIn puts a value into the mailbox as a part of a transaction.
func (b Box[T]) SendIn(ctx context.Context, tx *table.Tx, v T) error {
	body, err := json.Marshal(v)
	if err == nil {
		_, err = b.service.In(ctx, tx).Send(b.name, Outgoing{Body: body})
	}
	return err
}

// Receive waits for a value, and takes it. It is received at most once: who must
// not lose it takes Process.
func (b Box[T]) Receive(ctx context.Context) (v T, err error) {
	err = b.Process(ctx, func(_ *table.Tx, got T) error {
		v = got
		return nil
	})
	return v, err
}

// Process waits for a value, and takes it and runs fn in one transaction, as
// Service.Process does. What is not JSON of a T is an error, and stays.
func (b Box[T]) Process(ctx context.Context, fn func(tx *table.Tx, v T) error) error {
	return b.service.Process(ctx, b.name, func(tx *table.Tx, x Message) error {
		var v T
		if err := json.Unmarshal(x.Body, &v); err != nil {
			return fmt.Errorf("message %d of mailbox %q: %w", x.Number, x.Mailbox, err)
		}
		return fn(tx, v)
	})
}
