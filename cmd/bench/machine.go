package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/tuplix/tuplix/qemu"
)

// experiment measures one or several figures in one go, on one system.
type experiment struct {
	figures []spec
	once    bool // the result does not vary: one round will do
	measure func(ctx context.Context, o *options, s *system) (map[string]float64, error)
	// together, in place of measure, is for what needs shorter turns than rounds.
	together func(ctx context.Context, o *options, ours, peer *system) (our, their map[string]float64, err error)
}

// Names of figures that code refers to.
const (
	figureBoot     = "boot to first HTTP answer"
	figureBootWork = "processor time of QEMU until then"
	figureIdle     = "memory held at idle"
	figureMemory   = "memory needed to serve"
	figureHTTP     = "HTTP requests, 64 connections"
	figureToGuest  = "TCP to the guest"
	figureToHost   = "TCP from the guest"
	figureParallel = "2 CPUs over 1, hashing"
	figureEcho     = "TCP echo, idle"
	figureEcho1    = "TCP echo beside a busy goroutine"
	figureEcho1p99 = "the same, 99th percentile"
	figureEcho3    = "TCP echo beside 3 busy goroutines"
)

// fileFigures are the names of the figures whose size can be chosen.
func (o *options) fileFigures() (write, read, sums string) {
	size, files := "1 GB", "100,000"
	if o.sequential != 1024 {
		size = fmt.Sprint(o.sequential, " MiB")
	}
	if o.files != 100_000 {
		files = strconv.Itoa(o.files)
	}
	return "sequential write of " + size, "sequential read of " + size, "bytes by owner of " + files + " files"
}

// enoughMemory is what the hello program must run in, in MiB.
const enoughMemory = 64

// machineExperiments is the part "machine".
func machineExperiments(o *options) []experiment {
	write, read, sums := o.fileFigures()
	return []experiment{
		{
			figures: []spec{{figureBoot, "s", lower, 0.25}, {figureBootWork, "s", lower, record}, {figureIdle, "MiB", lower, 0.5}},
			measure: measureBoot,
		},
		{
			figures: []spec{{figureMemory, "MiB", lower, 1}},
			once:    true,
			measure: measureMemory,
		},
		{
			figures:  []spec{{figureHTTP, "1/s", higher, 1}},
			together: requestRates,
		},
		{
			figures: []spec{{figureToGuest, "MB/s", higher, 1}, {figureToHost, "MB/s", higher, 1}},
			measure: measureTCP,
		},
		{
			figures: []spec{
				{figureEcho, "us", lower, 1},
				{figureEcho1, "us", lower, 1},
				{figureEcho1p99, "us", lower, 1},
				{figureEcho3, "us", lower, 1},
			},
			measure: measureEcho,
		},
		{
			figures: []spec{
				{"goroutine ping-pong", "ns", lower, 1},
				{"thread hop", "ns", lower, 1},
				{"time.Now", "ns", lower, 1},
				{"create, write, fsync 4 KB", "us", lower, 1},
				{"open, read 4 KB", "us", lower, 1},
			},
			measure: measureMicro,
		},
		{
			figures: []spec{
				{"stat of a cached file", "us", lower, 1},
				{"write of 4 KB, not synced", "us", lower, 1},
				{"create, fsync", "us", lower, 0.5},
				{"unlink, fsync of the directory", "us", lower, 0.5},
			},
			measure: measureFiles,
		},
		{
			figures: []spec{
				{write, "MB/s", higher, 0.7},
				{read, "MB/s", higher, 0.7},
			},
			once:    true,
			measure: measureSequential,
		},
		{
			figures: []spec{{sums, "ms", lower, 0.1}},
			once:    true,
			measure: measureAggregate,
		},
		{
			figures: []spec{{figureParallel, "x", higher, 0.9}},
			measure: measureParallel,
		},
	}
}

const (
	helloPackage = "./apps/hello"
	guestPackage = "./cmd/bench/guest"
	helloReady   = `^hello: listening`
)

// hello boots the web server and waits for its first answer.
func hello(ctx context.Context, o *options, s *system) (*guest, time.Duration, error) {
	c, err := s.config(ctx, o, helloPackage, "-addr", ":8080")
	if err != nil {
		return nil, 0, err
	}
	g, err := boot(ctx, c, 8080)
	if err != nil {
		return nil, 0, err
	}
	if err := g.expect(helloReady, o.patience); err != nil {
		g.stop()
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.patience)
	defer cancel()
	if err := firstAnswer(ctx, g.port); err != nil {
		g.stop()
		return nil, 0, fmt.Errorf("%w\nconsole:\n%s", err, tail(g.console.Text()))
	}
	return g, time.Since(g.started), nil
}

func measureBoot(ctx context.Context, o *options, s *system) (map[string]float64, error) {
	g, took, err := hello(ctx, o, s)
	if err != nil {
		return nil, err
	}
	defer g.stop()
	values := map[string]float64{figureBoot: took.Seconds()}
	if values[figureBootWork], err = timeOfProcess(g.PID()); err != nil {
		return values, err
	}
	values[figureIdle], err = idleMemory(ctx, g.PID())
	return values, err
}

// idleMemory waits until the resident memory of a process no longer changes
// and returns it, in MiB. Services write what they have learnt some seconds after the
// boot; that is to be in it.
func idleMemory(ctx context.Context, pid int) (float64, error) {
	const (
		interval = 500 * time.Millisecond
		steady   = 16 // readings in a row within 1 %
		most     = 80
	)
	last, same := 0.0, 0
	for range most {
		now, err := residentMemory(pid)
		if err != nil {
			return 0, err
		}
		if math.Abs(now-last) > last/100 {
			same = 0
		}
		if same++; same == steady {
			return now, nil
		}
		last = now
		select {
		case <-time.After(interval):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return 0, errors.New("the guest's memory keeps changing")
}

// measureMemory finds the least memory in which the web server answers.
func measureMemory(ctx context.Context, o *options, s *system) (map[string]float64, error) {
	var last error
	for _, m := range []int{32, 48, enoughMemory, 80, 96, 112, 128, 160, 192, 256} {
		try := *o
		try.memory = m
		try.patience = 30 * time.Second
		g, _, err := hello(ctx, &try, s)
		if err == nil {
			g.stop()
			return map[string]float64{figureMemory: float64(m)}, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		last = err
	}
	return nil, fmt.Errorf("not even in 256 MiB: %w", last)
}

func measureTCP(ctx context.Context, o *options, s *system) (map[string]float64, error) {
	c, err := s.config(ctx, o, guestPackage, "-serve", ":9000")
	if err != nil {
		return nil, err
	}
	g, err := boot(ctx, c, 9000)
	if err != nil {
		return nil, err
	}
	defer g.stop()
	if err := g.expect(`^guest: listening`, o.patience); err != nil {
		return nil, err
	}
	in, err := sendRate(g.port)
	if err != nil {
		return nil, fmt.Errorf("to the guest: %w", err)
	}
	out, err := receiveRate(g.port)
	if err != nil {
		return nil, fmt.Errorf("from the guest: %w", err)
	}
	return map[string]float64{figureToGuest: in, figureToHost: out}, nil
}

// measureEcho has the guest answer single bytes, on one processor that is idle or
// has goroutines that calculate: what it takes to get from a device's interrupt to
// the goroutine that waits, and back.
func measureEcho(ctx context.Context, o *options, s *system) (map[string]float64, error) {
	values := make(map[string]float64)
	for busy, names := range map[int][2]string{0: {figureEcho}, 1: {figureEcho1, figureEcho1p99}, 3: {figureEcho3}} {
		c, err := s.config(ctx, o, guestPackage, "-serve", ":9000", "-busy", strconv.Itoa(busy))
		if err != nil {
			return nil, err
		}
		median, p99, err := echoGuest(ctx, c, o.patience)
		if err != nil {
			return nil, fmt.Errorf("%d busy: %w", busy, err)
		}
		values[names[0]] = float64(median.Nanoseconds()) / 1e3
		if names[1] != "" {
			values[names[1]] = float64(p99.Nanoseconds()) / 1e3
		}
	}
	return values, nil
}

func echoGuest(ctx context.Context, c qemu.Config, patience time.Duration) (median, p99 time.Duration, err error) {
	g, err := boot(ctx, c, 9000)
	if err != nil {
		return 0, 0, err
	}
	defer g.stop()
	if err := g.expect(`^guest: listening`, patience); err != nil {
		return 0, 0, err
	}
	return echoTimes(g.port)
}

func measureMicro(ctx context.Context, o *options, s *system) (map[string]float64, error) {
	r, err := s.results(ctx, o, 1, "pingpong,threadhop,now,filewrite,fileread")
	return map[string]float64{
		"goroutine ping-pong":       r["pingpong"],
		"thread hop":                r["threadhop"],
		"time.Now":                  r["now"],
		"create, write, fsync 4 KB": r["filewrite"],
		"open, read 4 KB":           r["fileread"],
	}, err
}

func measureFiles(ctx context.Context, o *options, s *system) (map[string]float64, error) {
	r, err := s.results(ctx, o, 1, "filestat,overwrite,create,unlink")
	return map[string]float64{
		"stat of a cached file":          r["filestat"],
		"write of 4 KB, not synced":      r["overwrite"],
		"create, fsync":                  r["create"],
		"unlink, fsync of the directory": r["unlink"],
	}, err
}

func measureSequential(ctx context.Context, o *options, s *system) (map[string]float64, error) {
	r, err := s.results(ctx, o, 1, "seqwrite,seqread")
	write, read, _ := o.fileFigures()
	return map[string]float64{write: r["seqwrite"], read: r["seqread"]}, err
}

func measureAggregate(ctx context.Context, o *options, s *system) (map[string]float64, error) {
	r, err := s.results(ctx, o, 1, "aggregate")
	_, _, sums := o.fileFigures()
	return map[string]float64{sums: r["aggregate"]}, err
}

func measureParallel(ctx context.Context, o *options, s *system) (map[string]float64, error) {
	one, err := s.results(ctx, o, 1, "hash")
	if err != nil {
		return nil, err
	}
	two, err := s.results(ctx, o, 2, "hash")
	if err != nil {
		return nil, err
	}
	return map[string]float64{figureParallel: two["hash"] / one["hash"]}, nil
}
