package main

import (
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
	"time"
)

// loadSpan is how long the throughput of TCP is measured.
const loadSpan = 4 * time.Second

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
