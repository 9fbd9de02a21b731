package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// loadSpan is how long throughput is measured, after loadWarm.
const (
	loadWarm = time.Second
	loadSpan = 4 * time.Second
)

// firstAnswer asks for a page until it is answered. A guest's port is there for
// QEMU before it is for the guest, so a single request could wait long.
func firstAnswer(ctx context.Context, port int) error {
	client := http.Client{Timeout: 250 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	url := fmt.Sprintf("http://127.0.0.1:%d/payload", port)
	for {
		response, err := client.Get(url)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if err == nil && response.StatusCode == http.StatusOK {
				return nil
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("no answer: %w", errors.Join(err, ctx.Err()))
		}
	}
}

// requestRate measures answers per second over that many connections, each
// with one request at a time.
func requestRate(ctx context.Context, port, connections int) (float64, error) {
	clients, err := dialAll(port, connections)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		total int
		fails []error
	)
	for _, c := range clients {
		all.Go(func() {
			defer c.conn.Close()
			n, err := c.run(ctx, start.Add(loadWarm), start.Add(loadWarm+loadSpan))
			mu.Lock()
			defer mu.Unlock()
			total += n
			if err != nil {
				fails = append(fails, err)
			}
		})
	}
	all.Wait()
	if len(fails) > 0 {
		return 0, fmt.Errorf("%d of %d connections failed: %w", len(fails), connections, fails[0])
	}
	return float64(total) / loadSpan.Seconds(), nil
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

// run sends requests until the end and counts the answers after from.
func (c *client) run(ctx context.Context, from, end time.Time) (int, error) {
	n := 0
	for {
		if err := c.request(); err != nil {
			return n, err
		}
		now := time.Now()
		if now.After(end) || ctx.Err() != nil {
			return n, ctx.Err()
		}
		if now.After(from) {
			n++
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

// sendRate measures the throughput of one TCP connection to the guest, in MB/s,
// by what the guest says it got.
func sendRate(port int) (float64, error) {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if _, err := c.Write([]byte{'w'}); err != nil {
		return 0, err
	}
	buf := make([]byte, 256<<10)
	start := time.Now()
	if err := c.SetWriteDeadline(start.Add(loadSpan)); err != nil {
		return 0, err
	}
	for {
		if _, err := c.Write(buf); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				break
			}
			return 0, err
		}
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return 0, err
	}
	if err := c.SetReadDeadline(time.Now().Add(bootPatience)); err != nil {
		return 0, err
	}
	text, err := io.ReadAll(c)
	if err != nil {
		return 0, err
	}
	took := time.Since(start)
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return float64(n) / 1e6 / took.Seconds(), err
}

// receiveRate measures the throughput of one TCP connection from the guest, in
// MB/s.
func receiveRate(port int) (float64, error) {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if _, err := c.Write([]byte{'r'}); err != nil {
		return 0, err
	}
	buf := make([]byte, 256<<10)
	start := time.Now()
	if err := c.SetReadDeadline(start.Add(bootPatience)); err != nil {
		return 0, err
	}
	var total int64
	for time.Since(start) < loadSpan {
		n, err := c.Read(buf)
		total += int64(n)
		if err != nil {
			return 0, err
		}
	}
	return float64(total) / 1e6 / time.Since(start).Seconds(), nil
}

// Echoes are asked for one at a time, with pauses of about echoPause.
const (
	echoes    = 300
	echoWarm  = 30
	echoPause = 3 * time.Millisecond
)

// echoTimes measures how long the guest takes to answer one byte.
func echoTimes(port int) (median, p99 time.Duration, err error) {
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(bootPatience)); err != nil {
		return 0, 0, err
	}
	b := []byte{'e'}
	if _, err := c.Write(b); err != nil {
		return 0, 0, err
	}
	var took []time.Duration
	for i := range echoes {
		// Not in step with anything in the guest.
		time.Sleep(echoPause/2 + time.Duration(rand.Int63n(int64(echoPause))))
		start := time.Now()
		if _, err := c.Write(b); err != nil {
			return 0, 0, err
		}
		if _, err := io.ReadFull(c, b); err != nil {
			return 0, 0, err
		}
		if i >= echoWarm {
			took = append(took, time.Since(start))
		}
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100], nil
}
