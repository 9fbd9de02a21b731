package net

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// woken counts how often the serving goroutine is called.
type woken struct{ atomic.Int64 }

func (w *woken) Wait(func() bool) error { return nil }
func (w *woken) Wake()                  { w.Add(1) }

// TestLateBell checks that the first who postpones calls the server, once, and
// that a bell that has been rung starts anew.
func TestLateBell(t *testing.T) {
	var b lateBell
	var w woken
	for round := range 3 {
		for i := range lateFrames - 1 {
			b.frames.Add(1)
			if !b.postpone(&w) || !b.due() {
				t.Fatalf("round %d: frame %d does not wait", round, i)
			}
		}
		b.frames.Add(1)
		if b.postpone(&w) {
			t.Errorf("round %d: %d frames wait", round, lateFrames)
		}
		if n := w.Load(); n != int64(round+1) {
			t.Errorf("round %d: called %d times", round, n)
		}
		b.rung()
		if b.due() {
			t.Errorf("round %d: still due", round)
		}
	}
}

func TestLoad(t *testing.T) {
	var l load
	one := func(n int) {
		for range n {
			l.add()
		}
		l.rest()
	}
	one(1)
	one(1)
	if l.high() {
		t.Error("one frame at a time is a high load")
	}
	one(loadFrames)
	l.rest()
	if !l.high() {
		t.Error("frames without a pause are not")
	}
	one(1)
	if l.high() {
		t.Error("it does not end")
	}
}

// TestPostponed sends from several goroutines under load, each frame with a Flush
// of its own, on a device with an interrupt for each queue and one with a single
// interrupt: every frame goes out, though nobody rings after the last.
func TestPostponed(t *testing.T) {
	for _, vectors := range []int{1, 3} {
		c := newCard(everything)
		c.Vector = vectors
		d := c.open(t)
		d.rx.load.last.Store(loadFrames)
		const senders, each = 8, 200
		var all sync.WaitGroup
		for range senders {
			all.Go(func() {
				for i := range each {
					if err := d.Transmit(Header{}, [][]byte{frame(i, 60)}, false, nil); err != nil {
						t.Error(err)
					}
					d.Flush()
				}
			})
		}
		all.Wait()
		for sent := 0; sent < senders*each; time.Sleep(time.Millisecond) {
			c.mu.Lock()
			sent = len(c.sent)
			c.mu.Unlock()
		}
		d.dev.Fail(errors.New("end"))
	}
}
