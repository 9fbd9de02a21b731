package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// manyThreads has a thousand threads at once, each with a number of its own.
func manyThreads() (string, error) {
	const n = 1000
	release := make(chan bool)
	var ready, done sync.WaitGroup
	var numbers sync.Map
	var twice atomic.Int64
	ready.Add(n)
	for range n {
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			tid := syscall.Gettid()
			if _, ok := numbers.LoadOrStore(tid, true); ok {
				twice.Add(1)
			}
			ready.Done()
			<-release
			if syscall.Gettid() != tid {
				twice.Add(1)
			}
		})
	}
	ready.Wait()
	close(release)
	done.Wait()
	if twice.Load() != 0 {
		return "", fmt.Errorf("%d threads share a number", twice.Load())
	}
	return fmt.Sprintf("%d threads", n), nil
}

// clock: time does not run backwards, neither on one processor nor from one
// to another.
func clock() (string, error) {
	var last, back, reads atomic.Int64
	start := time.Now()
	var wg sync.WaitGroup
	for range runtime.NumCPU() + 1 {
		wg.Go(func() {
			for time.Since(start) < 500*time.Millisecond {
				for range 1000 {
					before := last.Load()
					now := int64(time.Since(start))
					if now < before {
						back.Add(1)
					}
					for was := last.Load(); now > was && !last.CompareAndSwap(was, now); was = last.Load() {
					}
				}
				reads.Add(1000)
			}
		})
	}
	wg.Wait()
	var kernelTime syscall.Timespec
	before := time.Now()
	if _, _, e := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 0, uintptr(unsafe.Pointer(&kernelTime)), 0); e != 0 {
		return "", e
	}
	after := time.Now()
	if t := time.Unix(kernelTime.Sec, kernelTime.Nsec); t.Before(before.Round(0)) || t.After(after.Round(0)) {
		return "", fmt.Errorf("the kernel's clock says %v between %v and %v", t, before, after)
	}
	if back.Load() != 0 {
		return "", fmt.Errorf("time ran backwards %d times in %d", back.Load(), reads.Load())
	}
	return fmt.Sprintf("%d reads", reads.Load()), nil
}

// signals come to whom os/signal notifies.
func signals() (string, error) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	defer signal.Stop(c)
	for i := range 100 {
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGUSR1); err != nil {
			return "", err
		}
		select {
		case <-c:
		case <-time.After(5 * time.Second):
			return "", fmt.Errorf("signal %d does not come", i)
		}
	}
	return "100 signals", nil
}
