package timesync

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/beevik/ntp"
)

const (
	// StepAbove is the offset from which on a clock is stepped (RFC 5905: STEPT).
	StepAbove = 128 * time.Millisecond
	// MaxSlew is how much a clock is moved in a second (RFC 5905: 500 ppm).
	MaxSlew = 500 * time.Microsecond
	// MaxServers is how many servers are asked.
	MaxServers = 8

	minPoll, maxPoll = 64 * time.Second, 1024 * time.Second
	retry            = 8 * time.Second // after the first failures, then later and later
	timeout          = 5 * time.Second
)

// Options say what a Client works on.
type Options struct {
	// Shift moves the clock, forward or back, at once.
	Shift func(by time.Duration)
	// Changed is told that Status would show something new. May be nil; must not block.
	Changed func()
	// Log is told of steps. May be nil.
	Log func(format string, args ...any)
	// Query asks a server; nil: by UDP.
	Query func(server string) (*ntp.Response, error)
}

// Server is what is known of a time server.
type Server struct {
	Name    string
	At      time.Time     // of the last try
	Offset  time.Duration // of the clock from the server's, as it was then
	Delay   time.Duration // of the round trip
	Stratum uint8         // its distance from a reference clock
	Err     error         // why it was not believed, or nil
}

// Status is where a Client stands.
type Status struct {
	Synchronized bool          // the last round found the time
	Offset       time.Duration // by which the clock was wrong then
	Left         time.Duration // of it, what slewing has yet to do
	Steps        uint64        // since the start
	At           time.Time     // of the last round; zero: there was none
	Next         time.Time     // of the next; zero: there are no servers
	Servers      []Server
}

// Client keeps the clock. Its methods may be called concurrently.
type Client struct {
	o    Options
	wake chan struct{} // room for one: the servers are others

	mu     sync.Mutex
	names  []string
	status Status
	pause  time.Duration // before the next round
	rounds int           // that succeeded
}

// New makes a client without servers; Run does its work.
func New(o Options) *Client {
	if o.Changed == nil {
		o.Changed = func() {}
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.Query == nil {
		o.Query = query
	}
	return &Client{o: o, wake: make(chan struct{}, 1)}
}

// query asks a server by UDP.
func query(server string) (*ntp.Response, error) {
	r, err := ntp.QueryWithOptions(server, ntp.QueryOptions{Timeout: timeout})
	if err != nil {
		return nil, err
	}
	return r, r.Validate()
}

// SetServers names the servers, the first MaxServers of which are asked: at once, if
// they are others than before. Without any the clock is left alone.
func (c *Client) SetServers(names []string) {
	names = slices.Clone(names[:min(len(names), MaxServers)])
	c.mu.Lock()
	same := slices.Equal(names, c.names)
	c.names = names
	c.mu.Unlock()
	if same {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Status returns where the client stands.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.status
	s.Servers = slices.Clone(s.Servers)
	return s
}

// Run asks and moves the clock until ctx ends.
func (c *Client) Run(ctx context.Context) {
	round, slew := time.NewTimer(0), time.NewTimer(0)
	defer round.Stop()
	defer slew.Stop()
	round.Stop()
	slewing := true // the first tick finds nothing to do
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-c.wake:
			c.restart()
			round.Reset(0)
		case <-round.C:
			if pause := c.round(); pause > 0 {
				round.Reset(pause)
			}
			if !slewing {
				slewing = true
				slew.Reset(0)
			}
		case <-slew.C:
			if slewing = c.slew(); slewing {
				slew.Reset(time.Second)
			}
		}
	}
}

// restart forgets what other servers said.
func (c *Client) restart() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pause, c.rounds = 0, 0
	c.status.Synchronized, c.status.Next, c.status.Servers = false, time.Time{}, nil
}

// round asks all servers, and returns after how long to ask again; 0: never.
func (c *Client) round() time.Duration {
	c.mu.Lock()
	names := c.names
	c.mu.Unlock()
	if len(names) == 0 {
		c.o.Changed()
		return 0
	}
	servers := make([]Server, len(names))
	var asked sync.WaitGroup
	for i, name := range names {
		asked.Go(func() { servers[i] = c.ask(name) })
	}
	asked.Wait()
	offset, err := judge(servers)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.status
	s.Servers, s.At, s.Synchronized = servers, time.Now(), err == nil
	c.pause = next(c.pause, c.rounds, err == nil, offset)
	if err == nil {
		c.rounds++
		c.correct(offset)
	}
	s.Next = time.Now().Add(c.pause)
	c.o.Changed()
	return c.pause
}

// next is the pause after a round: it doubles while all is well.
func next(last time.Duration, rounds int, ok bool, offset time.Duration) time.Duration {
	switch {
	case !ok && rounds == 0:
		return min(max(2*last, retry), maxPoll)
	case !ok || offset.Abs() > StepAbove || rounds == 0:
		return minPoll
	}
	return min(max(2*last, minPoll), maxPoll)
}

func (c *Client) ask(name string) Server {
	s := Server{Name: name}
	r, err := c.o.Query(name)
	s.At, s.Err = time.Now(), err
	if err == nil {
		s.Offset, s.Delay, s.Stratum = r.ClockOffset, r.RTT, r.Stratum
	}
	return s
}

// errNone says that there is nothing to go by.
var errNone = errors.New("no server has given a usable answer")

// judge returns the median of the offsets that were told; of two the one with the
// shorter way.
func judge(servers []Server) (time.Duration, error) {
	var good []Server
	for _, s := range servers {
		if s.Err == nil {
			good = append(good, s)
		}
	}
	switch len(good) {
	case 0:
		return 0, errNone
	case 1, 2:
		best := slices.MinFunc(good, func(a, b Server) int { return int(a.Delay - b.Delay) })
		return best.Offset, nil
	}
	slices.SortFunc(good, func(a, b Server) int { return int(a.Offset - b.Offset) })
	return good[len(good)/2].Offset, nil
}

// correct steps the clock, or has it slewed. The caller holds mu.
func (c *Client) correct(offset time.Duration) {
	s := &c.status
	s.Offset, s.Left = offset, offset
	if offset.Abs() <= StepAbove {
		return
	}
	c.o.Shift(offset)
	c.o.Log("clock: stepped by %v", offset)
	s.Left = 0
	s.Steps++
	s.At = s.At.Round(0).Add(offset)
}

// slew moves the clock a bit, and reports whether there is more to do.
func (c *Client) slew() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	by := min(max(c.status.Left, -MaxSlew), MaxSlew)
	if by == 0 {
		return false
	}
	c.o.Shift(by)
	c.status.Left -= by
	if c.status.Left == 0 {
		c.o.Changed()
	}
	return c.status.Left != 0
}
