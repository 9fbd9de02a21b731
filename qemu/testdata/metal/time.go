package main

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
	"sync"
	"time"

	"github.com/tuplix/tuplix/kernel"
)

// pace: the clock goes as fast as the power management timer, once the kernel has
// had some seconds to see to it.
func pace() (string, error) {
	const port, hz, bits = 0x608, 3579545, 24 // where q35 has it
	if kernel.In32(port) == ^uint32(0) {
		return "not measured: no timer", nil
	}
	sample := func() (count uint32, at time.Duration) {
		narrow := time.Hour
		for range 50 {
			before := kernel.Uptime()
			c := kernel.In32(port)
			if width := kernel.Uptime() - before; width < narrow {
				narrow, count, at = width, c, before+width/2
			}
		}
		return count, at
	}
	for kernel.Uptime() < 6*time.Second { // its third measurement is over 5 s
		time.Sleep(100 * time.Millisecond)
	}
	count, start := sample()
	time.Sleep(3 * time.Second)
	count2, end := sample()
	const around = float64(1<<bits) / hz * 1e9
	passed := float64((count2-count)%(1<<bits)) / hz * 1e9
	passed += math.Round((float64(end-start)-passed)/around) * around // a busy host lets it sleep for longer
	off := (float64(end-start)/passed - 1) * 1e6
	report := fmt.Sprintf("%.1f millionths off", off)
	// A host that corrects its clock changes the pace of the emulated timer, but
	// not of the counter, at any time and by a hundred millionths.
	if off < -500 || off > 500 {
		return "", fmt.Errorf("%s", report)
	}
	return report, nil
}

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

// wall: the wall clock goes forward and back as it is told to; what is measured by the
// time since boot, timers among it, does not notice.
func wall() (string, error) {
	far := time.NewTimer(30 * time.Minute)
	defer far.Stop()
	for _, by := range []time.Duration{time.Hour, -2 * time.Hour, time.Hour} {
		before := time.Now()
		kernel.ShiftWallClock(by)
		after := time.Now()
		passed := after.Sub(before) // of the time since boot
		moved := after.Round(0).Sub(before.Round(0)) - passed
		if off := (moved - by).Abs(); off > time.Second || passed < 0 || passed > time.Minute {
			return "", fmt.Errorf("told to go by %v, it went by %v within %v", by, moved, passed)
		}
		select {
		case <-time.After(time.Millisecond): // a timer that is due fires before later ones
		case <-far.C:
			return "", fmt.Errorf("a timer of half an hour fires once the clock went by %v", by)
		}
	}
	return "an hour forward, two back", nil
}
