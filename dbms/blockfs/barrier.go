package blockfs

import (
	"fmt"
	"sync"
)

// barrier makes completed writes durable, one device flush for all who wait: a
// caller is served by the first flush that starts after it came.
//
// A failed flush is final. The device may have dropped any write since the last
// good one, and a second flush that succeeds says nothing about those. So from
// then on the volume only reads, until it is opened anew.
type barrier struct {
	dev Device

	mu      sync.Mutex
	idle    sync.Cond
	started uint64 // flushes started
	done    uint64 // the last that succeeded
	running bool
	err     error
}

func newBarrier(dev Device) *barrier {
	b := &barrier{dev: dev}
	b.idle.L = &b.mu
	return b
}

// flush returns when all writes completed before the call are durable.
func (b *barrier) flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for want := b.started + 1; b.done < want; {
		switch {
		case b.err != nil:
			return b.err
		case b.running:
			b.idle.Wait()
		default:
			b.run()
		}
	}
	return nil
}

// run does one flush; b.mu is held, and given up meanwhile.
func (b *barrier) run() {
	b.running = true
	b.started++
	n := b.started
	b.mu.Unlock()
	err := b.dev.Flush()
	b.mu.Lock()
	b.running = false
	if err != nil {
		b.failLocked(fmt.Errorf("flush failed: %w", err))
	} else {
		b.done = n
	}
	b.idle.Broadcast()
}

// fail makes the volume read only for the given reason.
func (b *barrier) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failLocked(err)
}

func (b *barrier) failLocked(err error) {
	if b.err == nil {
		b.err = fmt.Errorf("blockfs: volume is read only until opened again: %w", err)
	}
}

// failed returns why the volume is read only, or nil.
func (b *barrier) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}
