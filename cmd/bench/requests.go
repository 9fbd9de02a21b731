package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The two guests run side by side and are asked in turns of loadTurn: a host that
// is shared changes its speed by a factor of two from one second to the next, so
// what was measured one after the other would compare the seconds. loadWarm is for
// the emulator to translate what runs.
const (
	loadWarm  = 2 * time.Second
	loadTurn  = 400 * time.Millisecond
	loadTurns = 10

	loadConnections = 64
)

// requestRates measures answers per second of both systems, each over connections
// with one request at a time.
func requestRates(ctx context.Context, o *options, ours, peer *system) (our, their map[string]float64, err error) {
	var loads [2]*load
	for i, s := range []*system{ours, peer} {
		g, _, err := hello(ctx, o, s)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", s.name, err)
		}
		defer g.stop()
		if loads[i], err = newLoad(g.port, loadConnections); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", s.name, err)
		}
		defer loads[i].close()
		if err := loads[i].turn(ctx, loadWarm); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", s.name, err)
		}
		*loads[i] = load{clients: loads[i].clients}
	}
	for i := range 2 * loadTurns {
		// Ours, peer, peer, ours: so that a drift of the host's speed cancels.
		if err := loads[(i+1)/2%2].turn(ctx, loadTurn); err != nil {
			return nil, nil, err
		}
	}
	return map[string]float64{figureHTTP: loads[0].rate()}, map[string]float64{figureHTTP: loads[1].rate()}, nil
}

// load is what one guest is asked, and what came of it.
type load struct {
	clients []*client
	answers int
	took    time.Duration
}

func newLoad(port, connections int) (*load, error) {
	clients, err := dialAll(port, connections)
	return &load{clients: clients}, err
}

// turn has all clients send requests for that long, and waits for the last answers.
func (l *load) turn(ctx context.Context, span time.Duration) error {
	start := time.Now()
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		last error
	)
	for _, c := range l.clients {
		all.Go(func() {
			n, err := c.run(ctx, start.Add(span))
			mu.Lock()
			defer mu.Unlock()
			l.answers += n
			if err != nil {
				last = err
			}
		})
	}
	all.Wait()
	l.took += time.Since(start)
	return last
}

// rate is answers per second of all turns.
func (l *load) rate() float64 { return float64(l.answers) / l.took.Seconds() }

func (l *load) close() {
	for _, c := range l.clients {
		c.conn.Close()
	}
}

// client is one connection of the load generator.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

// dialAll opens connections one after another, each proven by a request:
// QEMU's user-mode network takes no more than one new connection at a time.
func dialAll(port, connections int) ([]*client, error) {
	var clients []*client
	for i := range connections {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c := &client{conn, bufio.NewReader(conn)}
			clients = append(clients, c)
			err = c.request()
		}
		if err != nil {
			for _, c := range clients {
				c.conn.Close()
			}
			return nil, fmt.Errorf("connection %d: %w", i+1, err)
		}
	}
	return clients, nil
}

// answerPatience bounds the wait for one answer.
const answerPatience = 20 * time.Second

// request sends one request and reads the answer.
func (c *client) request() error {
	if err := c.conn.SetDeadline(time.Now().Add(answerPatience)); err != nil {
		return err
	}
	if _, err := io.WriteString(c.conn, "GET /payload HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
		return err
	}
	return readAnswer(c.in)
}

// run sends requests until the end and returns how many were answered.
func (c *client) run(ctx context.Context, end time.Time) (int, error) {
	for n := 0; ; n++ {
		if time.Now().After(end) || ctx.Err() != nil {
			return n, ctx.Err()
		}
		if err := c.request(); err != nil {
			return n, err
		}
	}
}

// readAnswer reads one HTTP response and checks its size. It does as little as
// it can: the load generator shares the host's CPUs with the guest.
func readAnswer(in *bufio.Reader) error {
	status, err := in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(status), "HTTP/1.1 200") {
		return fmt.Errorf("answer %q", status)
	}
	length := -1
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if v, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			if length, err = strconv.Atoi(strings.TrimSpace(v)); err != nil {
				return err
			}
		}
	}
	if length != 1024 {
		return fmt.Errorf("an answer of %d bytes", length)
	}
	_, err = in.Discard(length)
	return err
}
