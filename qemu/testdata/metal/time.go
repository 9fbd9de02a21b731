package main

import (
	"fmt"
	"math/rand"
	"slices"
	"sync"
	"time"
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
