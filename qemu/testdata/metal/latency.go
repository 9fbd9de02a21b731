package main

import (
	"errors"
	"fmt"
	"math/rand"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuplix/tuplix/kernel"
)

// The device whose interrupts are timed is the interval timer (8254): channel 0
// counts down once and raises its line at a moment that is known beforehand.
const (
	pitHz     = 1193182
	pitGSI    = 2 // ACPI's override on every PC
	pitData   = 0x40
	pitMode   = 0x43
	pitOnce   = 0x30 // channel 0, both bytes, mode 0
	pitStatus = 0xE2 // read back channel 0's status: bit 7 is the output
)

// wakeup is the way of one interrupt to the goroutine that waits.
type wakeup struct {
	device    time.Duration // from the device's moment to the kernel's entry
	thread    time.Duration // from there until the thread that was woken runs
	goroutine time.Duration // from there until the goroutine runs
	total     time.Duration // from the kernel's entry until the goroutine runs
}

// latency measures how soon after a device interrupt the goroutine runs that
// waits for it: on an idle machine, beside one busy goroutine, and beside more
// of them than there are processors. It fails if an interrupt never arrives, or
// if the median is beyond what a wake-up can take on a slow machine: the host may
// stop the machine for any time, but not in most of the cases.
func latency() (string, error) {
	const tries = 300
	limit := 2 * time.Millisecond
	if runtime.NumCPU() > 1 { // a halted processor waits for a busy host
		limit = 8 * time.Millisecond
	}
	irq, err := kernel.NewInterrupt()
	if err != nil {
		return "", err
	}
	if err := irq.Route(pitGSI, false, false); err != nil {
		return "not measured: " + err.Error(), nil
	}
	var report []string
	for _, busy := range []int{0, 1, 2*runtime.NumCPU() + 1} {
		w, err := beside(busy, func() ([]wakeup, error) { return timeWakeups(irq, tries) })
		if err != nil {
			return "", fmt.Errorf("%d busy: %w", busy, err)
		}
		total := distribution(w, func(w wakeup) time.Duration { return w.total })
		report = append(report, fmt.Sprintf("\n  %d CPUs, %d busy: %v; device %v, thread %v, goroutine %v", runtime.NumCPU(), busy, total,
			distribution(w, func(w wakeup) time.Duration { return w.device }),
			distribution(w, func(w wakeup) time.Duration { return w.thread }),
			distribution(w, func(w wakeup) time.Duration { return w.goroutine })))
		if total.median > limit {
			err = errors.Join(err, fmt.Errorf("%d busy: the median is %v, at most %v is expected", busy, total.median, limit))
		}
		if err != nil {
			return "", fmt.Errorf("%w%s", err, strings.Join(report, ""))
		}
	}
	return "median, 99th percentile, worst" + strings.Join(report, ""), nil
}

// beside calls f while that many goroutines spin.
func beside[T any](busy int, f func() (T, error)) (T, error) {
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range busy {
		wg.Go(func() {
			for !stop.Load() {
			}
		})
	}
	defer wg.Wait()
	defer stop.Store(true)
	return f()
}

// timeWakeups takes n interrupts that wake a goroutine, each 1 to 3 ms after it was asked
// for. On a busy host many come before there is one to wake: others take their place.
func timeWakeups(irq *kernel.Interrupt, n int) ([]wakeup, error) {
	var all []wakeup
	for tries := 0; len(all) < n && tries < 4*n; tries++ {
		count := uint16(pitHz/1000 + rand.Intn(pitHz/500))
		before, _ := irq.Times()
		due, waited, err := oneInterrupt(irq, count)
		if err != nil {
			return nil, err
		}
		now := kernel.Uptime()
		if err := arrived(irq, before); err != nil {
			return nil, err
		}
		entered, ran := irq.Times()
		if !waited || ran < entered || now < ran { // it came before there was a goroutine to wake, or one was awake
			continue
		}
		all = append(all, wakeup{entered - due, ran - entered, now - ran, now - entered})
	}
	if len(all) < n/2 {
		return nil, fmt.Errorf("%d of %d interrupts woke a goroutine", len(all), n)
	}
	return all, nil
}

// arrived waits until an interrupt has come after the one that came at before:
// who looks at the device may see that it fired before the kernel hears of it.
func arrived(irq *kernel.Interrupt, before time.Duration) error {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); runtime.Gosched() {
		if entered, _ := irq.Times(); entered != before {
			return nil
		}
	}
	return errors.New("the device has fired and no interrupt has come")
}

// oneInterrupt has the device fire after count ticks and waits until it has. due
// is that moment; waited tells whether it was still to come when the wait began.
func oneInterrupt(irq *kernel.Interrupt, count uint16) (due time.Duration, waited bool, err error) {
	const patience = 10 * time.Second
	kernel.Out8(pitMode, pitOnce)
	kernel.Out8(pitData, uint8(count))
	kernel.Out8(pitData, uint8(count>>8))
	due = kernel.Uptime() + time.Duration(count)*time.Second/pitHz
	watch := time.AfterFunc(patience, irq.Wake)
	defer watch.Stop()
	asked := 0
	fired := false
	err = irq.Wait(func() bool {
		asked++
		kernel.Out8(pitMode, pitStatus)
		fired = kernel.In8(pitData)&0x80 != 0
		return fired || kernel.Uptime() > due+patience/2
	})
	if err == nil && (!fired || kernel.Uptime() > due+patience/2) {
		err = fmt.Errorf("no interrupt within %v", patience/2)
	}
	return due, asked > 1, err
}

// spread is a distribution in three numbers.
type spread struct{ median, p99, worst time.Duration }

func distribution(all []wakeup, of func(wakeup) time.Duration) spread {
	var d []time.Duration
	for _, w := range all {
		d = append(d, of(w))
	}
	slices.Sort(d)
	return spread{d[len(d)/2], d[len(d)*99/100], d[len(d)-1]}
}

func (s spread) String() string {
	us := func(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/1e3) }
	return us(s.median) + "/" + us(s.p99) + "/" + us(s.worst) + " us"
}
