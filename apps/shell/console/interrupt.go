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
	cancel context.CancelFunc // of the command in the foreground, or nil
}

// NewInterrupts begins to catch the interrupt signal for the whole process, for
// as long as it lives.
func NewInterrupts() *Interrupts {
	i := new(Interrupts)
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

// Foreground returns the context of the next command. It is not cancelled by
// done, since what the command left in the background lives on.
func (i *Interrupts) Foreground() (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancel(context.Background())
	i.set(cancel)
	return ctx, func() { i.set(nil) }
}

func (i *Interrupts) set(cancel context.CancelFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cancel = cancel
}
