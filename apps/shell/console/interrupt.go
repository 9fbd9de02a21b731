package console

import (
	"context"
	"os"
	"os/signal"
	"sync"
)

// Interrupts turns Ctrl-C into the end of the command that runs. While none
// runs it does nothing.
type Interrupts struct {
	mu     sync.Mutex
	base   context.Context    // of all commands
	cancel context.CancelFunc // of the command in the foreground, or nil
}

// InterruptsOf returns Interrupts for commands whose contexts are derived from ctx, and
// which only Interrupt ends.
func InterruptsOf(ctx context.Context) *Interrupts { return &Interrupts{base: ctx} }

// NewInterrupts begins to catch the interrupt signal for the whole process, for
// as long as it lives.
func NewInterrupts() *Interrupts {
	i := &Interrupts{base: context.Background()}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	go func() {
		for range signals {
			i.Interrupt()
		}
	}()
	return i
}

// Interrupt cancels the context of the command in the foreground.
func (i *Interrupts) Interrupt() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.cancel != nil {
		i.cancel()
	}
}

// Act has the commands that follow run in a context that is derived from ctx, which
// carries on whose behalf they do.
func (i *Interrupts) Act(ctx context.Context) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.base = ctx
}

// Base returns the context that those of commands are derived from.
func (i *Interrupts) Base() context.Context {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.base
}

// Foreground returns the context of the next command. It is not cancelled by
// done, since what the command left in the background lives on.
func (i *Interrupts) Foreground() (ctx context.Context, done func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	ctx, i.cancel = context.WithCancel(i.base)
	return ctx, i.none
}

// none notes that no command is in the foreground.
func (i *Interrupts) none() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cancel = nil
}
