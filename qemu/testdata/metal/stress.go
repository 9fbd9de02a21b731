package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuplix/tuplix/kernel"
)

// stress has many goroutines do everything at once: allocate, hash, hand
// over, sleep, calculate, change threads, beside tight loops, collections and
// faults. What each has in memory is hashed when it is put there and again
// when it is replaced.
func stress(length time.Duration) int {
	end := time.Now().Add(length)
	var wg sync.WaitGroup
	var steps, wrong atomic.Int64
	for g := range 64 {
		wg.Go(func() {
			r := rand.New(rand.NewSource(int64(g)))
			kept := map[int][]byte{}
			sums := map[int][32]byte{}
			for time.Now().Before(end) {
				switch r.Intn(6) {
				case 0:
					k := r.Intn(50)
					if b, ok := kept[k]; ok && sha256.Sum256(b) != sums[k] {
						wrong.Add(1)
					}
					b := make([]byte, r.Intn(20_000))
					r.Read(b)
					kept[k], sums[k] = b, sha256.Sum256(b)
				case 1:
					sum := sha256.Sum256([]byte("x"))
					if hex.EncodeToString(sum[:4]) != "2d711642" {
						wrong.Add(1)
					}
				case 2:
					c := make(chan int)
					go func() { c <- g }()
					if <-c != g {
						wrong.Add(1)
					}
				case 3:
					time.Sleep(time.Duration(r.Intn(2000)) * time.Microsecond)
				case 4:
					f := 1.0
					for i := range 2000 {
						f += 1 / float64(i+1)
					}
					if f < 9.178 || f > 9.179 {
						wrong.Add(1)
					}
				case 5:
					runtime.LockOSThread()
					runtime.Gosched()
					runtime.UnlockOSThread()
				}
				steps.Add(1)
			}
		})
	}
	wg.Go(func() {
		for x := uint64(0); time.Now().Before(end); {
			for range 10_000_000 {
				x = x*6364136223846793005 + 1
			}
			sink.Add(x)
		}
	})
	wg.Go(func() {
		for time.Now().Before(end) {
			runtime.GC()
			if _, err := fault(func() { *(*int)(nil) = 1 }); err == nil {
				wrong.Add(1)
			}
		}
	})
	wg.Wait()
	fmt.Printf("%d CPUs: %d steps, %d wrong; %+v\n", runtime.NumCPU(), steps.Load(), wrong.Load(), kernel.ReadStats())
	if wrong.Load() != 0 || steps.Load() < 100 || kernel.ReadStats().CPUs != runtime.NumCPU() {
		return 1
	}
	return 0
}
