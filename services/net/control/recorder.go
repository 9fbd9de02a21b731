package control

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/net/flow"
)

// recorder writes what is seen. Whoever sees something new calls touch; the
// recorder's goroutine does the rest:
//
//	wait for touch, or for the time to look at counters
//	pause for Options.Delay, so that what comes together is written together
//	one transaction: rows that differ, connections that came, went or moved bytes
//
// The row of os.network counts the batches of this boot. Where it is not what the
// recorder wrote last, the tables were restored, and all is written again.
type recorder struct {
	s    *Service
	wake chan struct{} // room for one

	booted time.Time
	batch  atomic.Uint64 // the last that was written, or is being

	// The goroutine's own.
	base    uint64            // of connections' IDs in this boot
	told    map[uint64]uint64 // bytes of each open connection as written, by the flow's ID
	closed  int               // rows of closed connections, about
	skipped uint64

	flush chan chan error // asks for a batch now
}

func newRecorder(s *Service) *recorder {
	r := &recorder{s: s, wake: make(chan struct{}, 1), flush: make(chan chan error), told: map[uint64]uint64{}, booted: stamp(time.Now())}
	s.o.Network.OnChange(r.touch)
	s.o.Network.Flows().OnChange(r.touch)
	return r
}

// touch has a batch written soon. It never blocks.
func (r *recorder) touch() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run is the recorder's goroutine.
func (r *recorder) run(ctx context.Context) {
	if err := r.begin(ctx); err != nil {
		if ctx.Err() == nil {
			r.s.o.Log("net: what is seen cannot be written: %v", err)
		}
		return
	}
	r.s.done.Go(func() { r.watch(ctx) })
	r.touch()
	count := time.NewTimer(r.s.o.Count)
	count.Stop()
	for ctx.Err() == nil {
		var answer chan error
		counting := false
		select {
		case <-ctx.Done():
		case answer = <-r.flush:
		case <-count.C:
			counting = true
		case <-r.wake:
			answer = r.pause(ctx)
		}
		open, err := r.write(counting || answer != nil)
		if answer != nil {
			answer <- err
		} else if err != nil {
			r.s.o.Log("net: what is seen could not be written: %v", err)
		}
		if open {
			count.Reset(r.s.o.Count)
		}
	}
}

// pause waits for more to write, unless somebody asks for what there is.
func (r *recorder) pause(ctx context.Context) (answer chan error) {
	t := time.NewTimer(r.s.o.Delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case answer = <-r.flush:
	}
	return answer
}

// Flush returns when the tables say what is seen now.
func (s *Service) Flush(ctx context.Context) error {
	if s.record == nil {
		return nil
	}
	s.soon()
	answer := make(chan error, 1)
	select {
	case s.record.flush <- answer:
	case <-s.ended:
		return errors.New("net: closed")
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin has the engine keep little history of the tables, and finds where the
// connections of the last boot end.
func (r *recorder) begin(ctx context.Context) error {
	s := r.s.store
	err := s.View(ctx, func(tx *table.Tx) error {
		last, err := Connections.First(tx, table.Span{}.Reverse())
		r.base = last.ID
		return gone(err)
	})
	if err != nil {
		return err
	}
	o := op("net.Open")
	o.NoWait = true
	return s.Retain(ctx, o, engine.MinRetention, append(seen(), Problems)...)
}

// watch touches when the tables are not as they were written last: by a restore.
func (r *recorder) watch(ctx context.Context) {
	err := watch(ctx, r.s.store, []table.Declared{Networks}, func() {
		err := r.s.store.View(ctx, func(tx *table.Tx) error {
			row, err := Networks.Get(tx, "machine")
			if now := r.batch.Load(); err == nil && row.Booted.Equal(r.booted) && (row.Batch == now || row.Batch+1 == now) {
				return nil
			}
			r.touch()
			return gone(err)
		})
		if err != nil && ctx.Err() == nil {
			r.s.o.Log("net: %v", err)
		}
	})
	if ctx.Err() == nil {
		r.s.o.Log("net: restores are no longer followed: %v", err)
	}
}

// write writes a batch, with the counters of all connections if asked to. It reports
// whether there are open connections. It is not broken off: what was taken from the
// registry would be lost.
func (r *recorder) write(counters bool) (open bool, err error) {
	st := r.read()
	b := r.choose(counters)
	st.network.Booted, st.network.Skipped = r.booted, r.skipped+b.skipped
	st.network.Open = uint32(b.open)
	o := op("net.Seen")
	o.NoWait = true
	before := r.batch.Load()
	r.batch.Store(before + 1)
	wrote, again := false, false
	_, err = r.s.store.Update(context.Background(), o, func(tx *table.Tx) error {
		wrote, again = false, false
		have, err := Networks.Get(tx, "machine")
		if gone(err) != nil {
			return err
		}
		again = err != nil || have.Batch != before || !have.Booted.Equal(r.booted)
		changes, err := st.write(tx)
		if err != nil {
			return err
		}
		if again {
			err = r.rewrite(tx)
		}
		if err == nil {
			err = b.write(tx)
		}
		st.network.Batch = before
		if wrote = again || changes > 0 || len(b.rows) > 0 || st.network != have; !wrote || err != nil {
			return err
		}
		st.network.Batch = before + 1
		return Networks.Put(tx, &st.network)
	})
	if err != nil || !wrote {
		r.batch.Store(before)
	}
	if errors.Is(err, table.ErrNoTable) { // a restore has removed them
		r.touch()
		return true, r.s.store.Create(context.Background(), op("net.Open"), seen()...)
	}
	if err != nil {
		return true, err
	}
	r.told, r.skipped = b.told, r.skipped+b.skipped
	r.closed += b.closed
	return b.open > 0, r.trim(again)
}

// flows returns the registry.
func (r *recorder) flows() *flow.Registry { return r.s.o.Network.Flows() }
