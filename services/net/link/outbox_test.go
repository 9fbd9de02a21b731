package link

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// ledger is a store that owes what the test says.
type ledger struct {
	owed  atomic.Bool
	syncs int
	after chan error // each Sync takes one
}

func (l *ledger) Owed() bool { return l.owed.Load() }

func (l *ledger) Sync(ctx context.Context) error {
	l.syncs++
	select {
	case err := <-l.after:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// numbered is a packet that is no TCP packet.
func numbered(n int, released *int) *stack.PacketBuffer {
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: header.EthernetMinimumSize,
		Payload:            buffer.MakeWithData(binary.BigEndian.AppendUint32(nil, uint32(n))),
		OnRelease:          func() { *released++ },
	})
	pkt.LinkHeader().Push(header.EthernetMinimumSize)
	return pkt
}

// TestOutbox: packets wait while the store owes something, in their order, and never
// leave if it has failed.
func TestOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &sink{room: 10000}
		e := New(d, func(error) {})
		l := &ledger{after: make(chan error)}
		var failures []error
		e.SetStore(l, func(err error) { failures = append(failures, err) })
		sent, released := 0, 0
		send := func(want tcpip.Error) {
			t.Helper()
			if _, err := write(e, numbered(sent, &released)); err != want {
				t.Fatalf("packet %d: %v", sent, err)
			}
			sent++
		}
		expect := func(what string, frames, free int) {
			t.Helper()
			synctest.Wait()
			if len(d.frames) != frames || released != free {
				t.Fatalf("%s: %d frames are out and %d packets released, want %d and %d", what, len(d.frames), released, frames, free)
			}
		}
		send(nil)
		expect("nothing is owed", 1, 1)
		l.owed.Store(true)
		send(nil)
		send(nil)
		expect("something is owed", 1, 1)
		l.owed.Store(false)
		send(nil)
		expect("others wait", 1, 1)
		l.after <- nil
		synctest.Wait()
		// The first Sync was for what waited when it began.
		for len(d.frames) < 4 {
			l.after <- nil
			synctest.Wait()
		}
		expect("all is durable", 4, 4)
		if l.syncs > 2 {
			t.Errorf("%d times it was waited for", l.syncs)
		}
		send(nil)
		expect("nothing is owed any more", 5, 5)
		for i, f := range d.frames {
			if n := binary.BigEndian.Uint32(f[header.EthernetMinimumSize:]); n != uint32(i) {
				t.Errorf("frame %d is packet %d", i, n)
			}
		}

		l.owed.Store(true)
		send(nil)
		drained := false
		go func() { e.Drain(t.Context()); drained = true }()
		synctest.Wait()
		if drained {
			t.Error("drained while a packet waits")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		e.Drain(ctx) // gives up
		if cancel(); ctx.Err() != context.DeadlineExceeded {
			t.Error(ctx.Err())
		}
		l.after <- nil
		synctest.Wait()
		if !drained {
			t.Error("not drained when nothing waits any more")
		}
		e.Drain(t.Context())
		expect("it is drained", 6, 6)
		send(nil)
		synctest.Wait() // its Sync has begun
		for range maxOwed {
			send(nil)
		}
		var full tcpip.ErrNoBufferSpace
		if _, err := write(e, numbered(sent, &released)); err == nil || err.String() != full.String() {
			t.Errorf("a packet too many: %v", err)
		}
		sent++
		expect("too many wait", 6, 6+1)
		l.after <- nil
		l.after <- nil
		expect("they were durable", sent-1, sent)

		broken := errors.New("the disk is gone")
		for range 2 {
			send(nil)
			l.after <- broken
		}
		expect("the store has failed", sent-3, sent)
		if len(failures) != 1 || failures[0] != broken {
			t.Errorf("told were %v", failures)
		}
		send(nil)
		synctest.Wait()
		e.Close()
		expect("the endpoint is closed", sent-4, sent)
		send(nil)
		expect("after that", sent-5, sent)
		if len(failures) != 1 {
			t.Errorf("told were %v", failures)
		}
	})
}

// TestOutboxLate: an acknowledgement that was held back for other reasons waits, too.
func TestOutboxLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpeaker(t, false)
		l := &ledger{after: make(chan error)}
		s.e.SetStore(l, func(error) {})
		s.converse()
		if out := s.ack(1200); len(out) != 0 {
			t.Fatalf("an acknowledgement that is to be held back went out: %v", out)
		}
		l.owed.Store(true)
		from := len(s.sink.frames)
		time.Sleep(4 * delayTick)
		synctest.Wait()
		if out := s.out(from); len(out) != 0 {
			t.Errorf("before it was durable, %v went out", out)
		}
		l.after <- nil
		synctest.Wait()
		if out := s.out(from); len(out) != 1 {
			t.Errorf("when it was durable, %v went out", out)
		}
		s.done()
	})
}
