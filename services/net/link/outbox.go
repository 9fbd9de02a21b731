package link

import (
	"context"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Store is what the machine keeps its state in, as far as frames have to wait for it:
// none that may tell of a transaction leaves before a loss of power cannot undo that.
type Store interface {
	// Owed tells whether there is something to wait for. It never blocks.
	Owed() bool
	// Sync returns when all that was owed is durable, or with an error when it will
	// never be. When ctx ends it returns that error.
	Sync(ctx context.Context) error
}

// maxOwed is how many packets wait for the disk at most. TCP's and those of sockets are
// bounded by their buffers; this is for answers to what others send (ARP, pings, SYNs).
const maxOwed = 4096

// outbox holds packets back while the store owes something (output commit: Elnozahy and
// others, A Survey of Rollback-Recovery Protocols, 2002, section 2.1). The programs that
// send them do not wait. Packets leave in the order in which they came.
type outbox struct {
	store atomic.Pointer[Store]
	busy  atomic.Bool // a goroutine sees to what waits; set and cleared under mu
	send  func([]*stack.PacketBuffer)

	mu      sync.Mutex
	failed  func(error) // is told why nothing leaves any more
	waiting []*stack.PacketBuffer
	idle    chan struct{}   // closed when busy ends
	ctx     context.Context // ends with the endpoint; nil if nothing has waited yet
	cancel  context.CancelFunc
	closed  bool
	dead    bool // failed was told
}

// hold takes packets that must wait, or follow others that do. It returns how many there
// was room for. If held is false there was no need.
func (o *outbox) hold(pkts []*stack.PacketBuffer) (n int, held bool) {
	store := o.store.Load()
	if store == nil || !o.busy.Load() && !(*store).Owed() {
		return 0, false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.busy.Load() && !(*store).Owed() {
		return 0, false
	}
	if o.closed {
		return len(pkts), true // there is nobody who would take them
	}
	n = min(len(pkts), maxOwed-len(o.waiting))
	for _, pkt := range pkts[:n] {
		o.waiting = append(o.waiting, pkt.IncRef())
	}
	if !o.busy.Load() {
		o.busy.Store(true)
		o.idle = make(chan struct{})
		if o.ctx == nil {
			o.ctx, o.cancel = context.WithCancel(context.Background())
		}
		go o.run(*store)
	}
	return n, true
}

// run waits and sends until nothing waits any more.
func (o *outbox) run(store Store) {
	for {
		o.mu.Lock()
		pkts := o.waiting
		o.waiting = nil
		if len(pkts) == 0 {
			o.busy.Store(false)
			close(o.idle)
			o.mu.Unlock()
			return
		}
		ctx := o.ctx
		o.mu.Unlock()
		if err := store.Sync(ctx); err != nil {
			o.drop(pkts, err)
			continue
		}
		o.send(pkts)
	}
}

// drop forgets packets that must never leave.
func (o *outbox) drop(pkts []*stack.PacketBuffer, err error) {
	for _, pkt := range pkts {
		pkt.DecRef()
	}
	o.mu.Lock()
	failed := o.failed
	if o.dead || o.closed {
		failed = nil
	}
	o.dead = true
	o.mu.Unlock()
	if failed != nil {
		failed(err)
	}
}

// Drain returns when no frame is held back, or when ctx ends.
func (e *Endpoint) Drain(ctx context.Context) {
	o := &e.outbox
	o.mu.Lock()
	idle := o.idle
	o.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if o.cancel != nil {
		o.cancel()
	}
}

// SetStore has frames wait, from now on, for what s owes. failed is told, once, why
// frames that were held back will never leave.
func (e *Endpoint) SetStore(s Store, failed func(error)) {
	e.outbox.mu.Lock()
	e.outbox.failed = failed
	e.outbox.mu.Unlock()
	e.outbox.store.Store(&s)
}
