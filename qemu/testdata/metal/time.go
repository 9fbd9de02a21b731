package main

import (
	"fmt"
	"math/rand"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuplix/tuplix/kernel"
)

// timers: none fires early, and none much too late.
func timers() (string, error) {
	const n = 500
	late := make([]time.Duration, n)
	var wg sync.WaitGroup
	for i := range n {
		d := time.Duration(rand.Intn(300_000)) * time.Microsecond
		start := time.Now()
		wg.Add(1)
		time.AfterFunc(d, func() { late[i] = time.Since(start) - d; wg.Done() })
	}
	wg.Wait()
	var single []time.Duration
	for range 50 {
		start := time.Now()
		time.Sleep(time.Millisecond)
		single = append(single, time.Since(start)-time.Millisecond)
	}
	slices.Sort(late)
	slices.Sort(single)
	report := fmt.Sprintf("%d at once: late by %v median, %v at most; one by one: %v median, %v at most",
		n, late[n/2], late[n-1], single[25], single[49])
	if late[0] < 0 || single[0] < 0 {
		return "", fmt.Errorf("too early: %s", report)
	}
	if late[n/2] > time.Second || single[25] > time.Second { // a busy host may stop the machine for long

		return "", fmt.Errorf("too late: %s", report)
	}
	return report, nil
}

// latency measures how soon after a device interrupt the goroutine runs that
// waits for it, alone and beside a busy one. The device is the interval timer
// (8254), which fires at a known time.
func latency() (string, error) {
	irq, err := kernel.NewInterrupt()
	if err != nil {
		return "", err
	}
	const pitGSI = 2 // ACPI's override on every PC; without it there is nothing to measure
	if err := irq.Route(pitGSI, false, false); err != nil {
		return "not measured: " + err.Error(), nil
	}
	idle, err := measure(irq)
	if err != nil {
		return "not measured: " + err.Error(), nil
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !stop.Load() {
		}
	})
	busy, err := measure(irq)
	stop.Store(true)
	wg.Wait()
	return fmt.Sprintf("%d CPUs; idle %v, beside a busy goroutine %v (median, worst)", runtime.NumCPU(), idle, busy), err
}

// measure fires the timer once in 5 ms, several times over.
func measure(irq *kernel.Interrupt) ([]time.Duration, error) {
	const hz, count, tries = 1193182, 5966, 30
	const after = time.Duration(count) * time.Second / hz
	var late []time.Duration
	for range tries {
		kernel.Out8(0x43, 0x30) // channel 0, both bytes, mode 0: once
		kernel.Out8(0x40, count&0xFF)
		kernel.Out8(0x40, count>>8)
		due := time.Now().Add(after)
		patience := time.AfterFunc(5*time.Second, irq.Wake)
		err := irq.Wait(func() bool {
			kernel.Out8(0x43, 0xE2) // read back the status: bit 7 is the output
			return kernel.In8(0x40)&0x80 != 0 || time.Since(due) > 4*time.Second
		})
		if err != nil {
			return nil, err
		}
		if !patience.Stop() {
			return nil, fmt.Errorf("no interrupt comes")
		}
		late = append(late, max(time.Since(due), 0))
	}
	slices.Sort(late)
	return []time.Duration{late[tries/2], late[tries-1]}, nil
}
