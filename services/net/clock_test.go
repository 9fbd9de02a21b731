package net

import (
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

func TestClock(t *testing.T) {
	for _, d := range []time.Duration{0, 1, time.Second, 1<<62 - 1} {
		c := newClock(func() time.Duration { return d })
		if got, want := c.NowMonotonic(), (tcpip.MonotonicTime{}).Add(d); got != want {
			t.Errorf("%v: %v, want %v", d, got, want)
		}
	}
	c := newClock(nil)
	if a, b := c.NowMonotonic(), c.NowMonotonic(); b.Before(a) {
		t.Errorf("%v, then %v", a, b)
	}
}
