package main

import (
	"fmt"
	"math/rand"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/tuplix/tuplix/kernel"
)

// The local APIC's command register (Intel SDM volume 3, 11.6.1) sends vectors to
// the processor that writes it, or to all.
const (
	apicCommand = 0x300
	toSelf      = 1 << 18
	toAll       = 2 << 18
)

// line is one interrupt and the goroutine that waits for it.
type line struct {
	irq     *kernel.Interrupt
	vector  uint32
	sent    atomic.Int64 // what the device did: raised before the interrupt is
	seen    atomic.Int64
	asked   atomic.Int64 // how often the waiter looked
	ended   atomic.Bool
	answers chan int64
}

// interrupts raises tens of thousands of interrupts, from and to any processor and
// several at a time, and each must be seen by the goroutine that waits, on an idle
// machine and beside busy goroutines. (There the sender is slow: each interrupt
// puts the goroutine that it finds on the processor behind the busy ones.)
func interrupts() (string, error) {
	a, err := openAPIC()
	if err != nil {
		return "", err
	}
	const lines = 5
	var all [lines]*line
	for i := range all {
		if all[i], err = newLine(); err != nil {
			return "", err
		}
		defer all[i].end()
	}
	r := rand.New(rand.NewSource(time.Now().UnixNano()))
	report := ""
	for _, phase := range []struct{ busy, n int }{{0, 30_000}, {1, 200}, {runtime.NumCPU() + 1, 200}} {
		start := time.Now()
		longest, err := beside(phase.busy, func() (longest time.Duration, err error) {
			for range phase.n / lines {
				start := time.Now()
				if err := round(a, all[:], r); err != nil {
					return 0, err
				}
				longest = max(longest, time.Since(start))
			}
			return longest, nil
		})
		if err != nil {
			return "", fmt.Errorf("%d busy: %w", phase.busy, err)
		}
		report += fmt.Sprintf(" %d beside %d in %d ms, 5 at once in %d ms at most;", phase.n, phase.busy, time.Since(start).Milliseconds(), longest.Milliseconds())
	}
	return fmt.Sprintf("%d CPUs:%s none lost", runtime.NumCPU(), report), nil
}

func newLine() (*line, error) {
	irq, err := kernel.NewInterrupt()
	if err != nil {
		return nil, err
	}
	_, vector := irq.Message()
	l := &line{irq: irq, vector: vector, answers: make(chan int64, 1)}
	go l.serve()
	return l, nil
}

// serve is a driver: it waits until its device has something and takes it.
func (l *line) serve() {
	for !l.ended.Load() {
		err := l.irq.Wait(func() bool {
			l.asked.Add(1)
			return l.sent.Load() > l.seen.Load() || l.ended.Load()
		})
		if err != nil {
			panic(err)
		}
		l.seen.Store(l.sent.Load())
		l.answers <- l.seen.Load()
	}
}

func (l *line) end() {
	l.ended.Store(true)
	l.irq.Wake()
}

// round has every line raise its interrupt once, some at the same moment, and waits
// for all answers. Nothing else would wake the waiters.
func round(a apic, all []*line, r *rand.Rand) error {
	for _, i := range r.Perm(len(all)) {
		l := all[i]
		l.sent.Add(1)
		target := uint32(toSelf)
		if r.Intn(4) == 0 {
			target = toAll
		}
		a.write(apicCommand, target|1<<14|l.vector)
		for range r.Intn(300) { // so that the next comes at any point of its way
			sink.Add(1)
		}
	}
	late := time.NewTimer(20 * time.Second)
	defer late.Stop()
	for i, l := range all {
		select {
		case got := <-l.answers:
			if got != l.sent.Load() {
				return fmt.Errorf("line %d answers %d, want %d", i, got, l.sent.Load())
			}
		case <-late.C:
			return fmt.Errorf("interrupt %d of line %d is lost: the waiter has looked %d times and seen %d", l.sent.Load(), i, l.asked.Load(), l.seen.Load())
		}
	}
	return nil
}
