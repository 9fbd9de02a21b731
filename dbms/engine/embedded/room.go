package embedded

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

// room sees that a transaction does not begin to write what the device has no room
// for: a log that cannot be written is the end of the store, until it is opened
// again. policy has the marks, maker makes room.
type room struct {
	fs      vfs.FS
	dir     string
	options func(total int64) policy
	marks   atomic.Pointer[policy] // nil: not known yet
	left    int64                  // bytes that may be written before asking again; commit lock
}

// askEvery is how many bytes are written between two looks at what is free.
const askEvery = 1 << 20

// endless is the policy for a volume that cannot tell what is free.
var endless = policy{total: math.MaxInt64 / 2, history: math.MaxInt64}

// noRoom tells what a transaction needs. It never leaves this package.
type noRoom struct {
	need  int64 // bytes
	grows bool  // whether it makes the store larger
}

func (*noRoom) Error() string { return engine.ErrFull.Error() }

// free asks the volume; one that cannot tell has endless room.
func (r *room) free() (int64, *policy) {
	u, err := r.fs.GetDiskUsage(r.dir)
	if err != nil {
		return math.MaxInt64 / 2, &endless
	}
	p := r.marks.Load()
	if p == nil || p.total != int64(u.TotalBytes) {
		n := r.options(int64(u.TotalBytes))
		p = &n
		r.marks.Store(p)
	}
	return int64(u.AvailBytes), p
}

// fits tells whether there is room by now, which the transaction may then claim.
func (r *room) fits(n *noRoom) bool {
	free, p := r.free()
	return free >= p.mark(n.grows)+n.need
}

// take sets aside what a transaction with a batch of size bytes needs, in the log
// and in a table, or refuses with *noRoom. The commit lock is held.
func (e *Engine) take(size int, grows bool) error {
	r := &e.room
	need := 2 * int64(size)
	if r.left -= need; r.left >= 0 {
		return nil
	}
	free, p := r.free()
	if free < p.low {
		e.maker.early(e)
	}
	if free < p.mark(grows)+need {
		r.left = 0
		return &noRoom{need: need, grows: grows}
	}
	r.left = max(min(askEvery, free-p.reserve-need), 0)
	return nil
}

// Space tells how much room there is on the device; it is zero where the volume
// cannot tell.
func (e *Engine) Space() engine.Space {
	left, p := e.room.free()
	if p == &endless {
		return engine.Space{}
	}
	return engine.Space{Total: p.total, Free: max(left-p.reserve, 0), Past: e.historySize()}
}

// MakeRoom returns when transactions may take n bytes more, for which history goes
// before its time where that is needed. Nothing is set aside: others may take the room
// before, and a transaction that is Claimed then uses what is kept for deleting.
//
// Errors: engine.ErrFull where nothing can be done about it, those of ctx, and
// engine.ErrClosed.
func (e *Engine) MakeRoom(ctx context.Context, n int64) error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.leave()
	need := &noRoom{need: n, grows: true}
	if e.room.fits(need) {
		return nil
	}
	return e.await(ctx, need)
}

// await returns when there may be room for what did not fit, and engine.ErrFull
// when nothing can be done about it. No lock is held.
func (e *Engine) await(ctx context.Context, err error) error {
	var n *noRoom
	if !errors.As(err, &n) {
		return err
	}
	m := &e.maker
	_, p := e.room.free()
	ticket, ok := m.ask(e, p.mark(n.grows)+n.need)
	if !ok {
		return e.refuse()
	}
	defer m.leave()
	m.count.waits.Add(1)
	begun := time.Now()
	defer func() { m.count.waited.Add(int64(time.Since(begun))) }()
	for {
		changed := m.changes()
		if e.room.fits(n) {
			return nil
		}
		if err := e.failed(); err != nil {
			return err
		}
		if ticket, ok = m.renew(e, ticket); !ok {
			return e.refuse()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-e.background.ctx.Done():
			return engine.ErrClosed
		}
	}
}

// refuse tells a transaction that there is no room.
func (e *Engine) refuse() error {
	e.maker.count.refusals.Add(1)
	return engine.ErrFull
}
