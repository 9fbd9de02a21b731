package timesync

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/beevik/ntp"
)

// world is a clock that is wrong, and servers that know or lie.
type world struct {
	mu    sync.Mutex
	error time.Duration // of the clock: true time is its time less this
	lies  map[string]time.Duration
	moves []time.Duration
}

func (w *world) shift(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.error += by
	w.moves = append(w.moves, by)
}

func (w *world) query(server string) (*ntp.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if server == "dead" {
		return nil, errors.New("no answer")
	}
	return &ntp.Response{ClockOffset: w.lies[server] - w.error, RTT: time.Millisecond, Stratum: 2}, nil
}

func (w *world) now() (off time.Duration, moves int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.error, len(w.moves)
}

// run has a client work on a world, in a bubble of time.
func run(t *testing.T, w *world, f func(c *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{Shift: w.shift, Query: w.query, Log: t.Logf})
		ctx, end := context.WithCancel(t.Context())
		go c.Run(ctx)
		f(c)
		end()
		synctest.Wait()
	})
}

// A clock that is far off is stepped, by the majority's time.
func TestStep(t *testing.T) {
	w := &world{error: time.Hour, lies: map[string]time.Duration{"liar": 9 * time.Hour}}
	run(t, w, func(c *Client) {
		c.SetServers([]string{"a", "liar", "b", "dead"})
		time.Sleep(time.Second)
		if off, moves := w.now(); off != 0 || moves != 1 {
			t.Errorf("off by %v after %d moves", off, moves)
		}
		s := c.Status()
		if !s.Synchronized || s.Steps != 1 || len(s.Servers) != 4 || s.Servers[3].Err == nil || s.Left != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// One that is a little off is slewed, never faster than allowed.
func TestSlew(t *testing.T) {
	w := &world{error: -10 * time.Millisecond}
	run(t, w, func(c *Client) {
		c.SetServers([]string{"a"})
		time.Sleep(10*time.Second + time.Millisecond)
		if off, moves := w.now(); moves != 11 || off != -10*time.Millisecond+11*MaxSlew {
			t.Errorf("off by %v after %d moves", off, moves)
		}
		time.Sleep(time.Minute)
		off, moves := w.now()
		if off != 0 || moves != 20 {
			t.Errorf("off by %v after %d moves", off, moves)
		}
		time.Sleep(24 * time.Hour)
		if _, again := w.now(); again != moves || c.Status().Steps != 0 {
			t.Errorf("a clock that is right was moved %d times", again-moves)
		}
	})
}

// Without servers, or without answers, the clock is left alone; other servers are
// asked at once.
func TestServers(t *testing.T) {
	w := &world{error: time.Hour}
	run(t, w, func(c *Client) {
		time.Sleep(time.Hour)
		c.SetServers([]string{"dead"})
		time.Sleep(time.Hour)
		if off, moves := w.now(); off != time.Hour || moves != 0 || c.Status().Synchronized {
			t.Errorf("off by %v after %d moves, %+v", off, moves, c.Status())
		}
		c.SetServers([]string{"a"})
		synctest.Wait()
		if off, _ := w.now(); off != 0 {
			t.Errorf("off by %v", off)
		}
		c.SetServers(nil)
		synctest.Wait()
		if s := c.Status(); s.Synchronized || !s.Next.IsZero() || s.Servers != nil {
			t.Errorf("%+v", s)
		}
	})
}

// The pause grows while all is well.
func TestPause(t *testing.T) {
	var pause time.Duration
	for rounds := range 10 {
		pause = next(pause, rounds, true, time.Millisecond)
	}
	if pause != maxPoll {
		t.Errorf("%v after ten rounds", pause)
	}
	if p := next(pause, 10, false, 0); p != minPoll {
		t.Errorf("%v after a failure", p)
	}
	if p := next(0, 0, false, 0); p != retry {
		t.Errorf("%v after the first failure", p)
	}
}

// FuzzAnswer has a server answer with anything: the clock is not moved by what is no
// answer to the question.
func FuzzAnswer(f *testing.F) {
	f.Add(make([]byte, 48))
	f.Add([]byte{0x24, 1, 0, 0xe9})
	f.Fuzz(func(t *testing.T, answer []byte) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			if _, err := far.Read(make([]byte, 100)); err == nil {
				far.Write(answer) // the client may have gone: that is its answer
			}
		}()
		r, err := ntp.QueryWithOptions("server", ntp.QueryOptions{Timeout: time.Second, Dialer: func(string, string) (net.Conn, error) { return near, nil }})
		if err == nil && r.Validate() == nil {
			t.Errorf("%x is taken for the time: %+v", answer, r)
		}
	})
}
