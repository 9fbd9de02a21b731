package tty

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
)

// ledger is a store that owes what the test says.
type ledger struct {
	owed  atomic.Bool
	after chan error // each Sync takes one
}

func (l *ledger) Owed() bool                 { return l.owed.Load() }
func (l *ledger) Sync(context.Context) error { return <-l.after }

// TestStore: what programs write appears when the store owes nothing, and never if that
// cannot be.
func TestStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s screen
		terminal := New(&s, nil)
		l := &ledger{after: make(chan error)}
		terminal.SetStore(l)
		h := terminal.Open()
		if n, err := h.Write([]byte("one")); n != 3 || err != nil || s.take() != "one" {
			t.Errorf("nothing is owed: %d, %v", n, err)
		}
		l.owed.Store(true)
		done := make(chan error)
		say := func(text string) { go func() { _, err := h.Write([]byte(text)); done <- err }() }
		say("two")
		synctest.Wait()
		if out := s.take(); out != "" {
			t.Errorf("before it is durable %q appears", out)
		}
		l.after <- nil
		if err := <-done; err != nil || s.take() != "two" {
			t.Errorf("when it is durable: %v", err)
		}
		say("three")
		l.after <- errors.New("the disk is gone")
		if err := <-done; err != syscall.EIO {
			t.Errorf("when the store has failed: %v", err)
		}
		if out := s.take(); out != "" {
			t.Errorf("when the store has failed %q appears", out)
		}
	})
}
