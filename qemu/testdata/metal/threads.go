package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash/crc32"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tuplix/tuplix/kernel"
)

// preempt has more goroutines in tight loops than there are processors: the
// rest must go on, and the collector must be able to stop them.
func preempt() (string, error) {
	var stop atomic.Bool
	var wg sync.WaitGroup
	n := 2*runtime.NumCPU() + 1
	for range n {
		wg.Go(func() {
			x := uint64(1)
			for !stop.Load() {
				x = x*6364136223846793005 + 1
			}
			sink.Add(x)
		})
	}
	start := time.Now()
	const stops = 20
	for range stops {
		runtime.Gosched()
		var m runtime.MemStats
		runtime.ReadMemStats(&m) // all goroutines stand still for it
	}
	runtime.GC() // its sweep lets the others run again and again, for seconds
	took := time.Since(start)
	stop.Store(true)
	wg.Wait()
	if took > 30*time.Second {
		return "", fmt.Errorf("%d stops and a collection took %v", stops, took)
	}
	return fmt.Sprintf("%d tight loops, %d stops and a collection in %d ms", n, stops, took.Milliseconds()), nil
}

var sink atomic.Uint64

// lockThread: a locked goroutine stays on its thread, which nobody else is on;
// and threads whose goroutine ended are gone.
func lockThread() (string, error) {
	const n = 16
	var wg sync.WaitGroup
	var mu sync.Mutex
	owner := map[int]int{}
	var fail error
	for g := range n {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for range 50 {
				tid := syscall.Gettid()
				mu.Lock()
				if was, ok := owner[tid]; ok && was != g {
					fail = fmt.Errorf("goroutines %d and %d are on thread %d", was, g, tid)
				}
				owner[tid] = g
				mu.Unlock()
				time.Sleep(50 * time.Microsecond)
			}
			mu.Lock()
			defer mu.Unlock()
			for tid, who := range owner {
				if who == g && tid != syscall.Gettid() {
					fail = fmt.Errorf("goroutine %d changed its thread", g)
				}
			}
			delete(owner, syscall.Gettid())
		})
	}
	wg.Wait()
	before := kernel.ReadStats().Threads
	for range 200 {
		done := make(chan bool)
		go func() {
			runtime.LockOSThread() // and never unlocks: the thread ends
			close(done)
		}()
		<-done
	}
	// The last threads may still be on their way out.
	for end := time.Now().Add(2 * time.Second); kernel.ReadStats().Threads > before+8 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	after := kernel.ReadStats().Threads
	if after > before+8 {
		return "", fmt.Errorf("%d threads before, %d after 200 came and went", before, after)
	}
	return fmt.Sprintf("%d threads before, %d after 200 came and went", before, after), fail
}

// profile looks for the hot function in a profile.
func profile() (string, error) {
	var out bytes.Buffer
	if err := pprof.StartCPUProfile(&out); err != nil {
		return "", err
	}
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		hot()
	}
	pprof.StopCPUProfile()
	samples, total, err := samplesOf(out.Bytes(), "main.hot")
	if err == nil && (total < 5 || samples < total/2) {
		err = fmt.Errorf("%d samples of %d are in the hot function", samples, total)
	}
	return fmt.Sprintf("%d samples of %d are in the hot function", samples, total), err
}

//go:noinline
func hot() {
	x := uint64(1)
	for range 1_000_000 {
		x = x*6364136223846793005 + 1
	}
	sink.Add(x)
}

// freeMemory: what the collector frees goes back to the kernel, and can be
// had again.
func freeMemory() (string, error) {
	debug.FreeOSMemory()
	free := func() int64 { return int64(kernel.ReadStats().MemoryFree) }
	before := free()
	size := before / 2
	b := make([]byte, size)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	during := free()
	runtime.KeepAlive(b)
	b = nil
	debug.FreeOSMemory()
	after := free()
	report := fmt.Sprintf("%d MiB free, %d with %d in use, %d afterwards", before>>20, during>>20, size>>20, after>>20)
	if before-during < size*9/10 || after-during < size*9/10 {
		return "", fmt.Errorf("%s", report)
	}
	// Under pressure: several times the memory, in pieces that become garbage.
	var keep [16][]byte
	piece := before / 64
	for i := range 16 * 16 {
		keep[i%16] = make([]byte, piece)
		for k := int64(0); k < piece; k += 4096 {
			keep[i%16][k] = byte(i)
		}
		for _, old := range keep {
			if len(old) > 0 && old[0] != old[(len(old)-1)&^4095] {
				return "", fmt.Errorf("memory in use has changed")
			}
		}
	}
	return report, nil
}

// vectors computes with the vector registers on more threads than there are
// processors, while they are taken from each other: results must not mix.
func vectors() (string, error) {
	data := make([]byte, 20_000)
	for i := range data {
		data[i] = byte(i * i)
	}
	sum256, sum512, sum32 := sha256.Sum256(data), sha512.Sum512(data), crc32.ChecksumIEEE(data)
	block, err := aes.NewCipher(data[:32])
	if err != nil {
		return "", err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return "", err
	}
	sealed := aead.Seal(nil, data[:12], data, nil)
	var wrong, rounds atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(1500 * time.Millisecond)
	for range 2*runtime.NumCPU() + 2 {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for time.Now().Before(end) {
				f := 1.0
				for i := range 1000 {
					f = f*1.0000001 + float64(i)
				}
				if sha256.Sum256(data) != sum256 || sha512.Sum512(data) != sum512 || crc32.ChecksumIEEE(data) != sum32 ||
					!bytes.Equal(aead.Seal(nil, data[:12], data, nil), sealed) || int(f) != 499524 && int(f) != 499525 && f < 499000 {
					wrong.Add(1)
				}
				rounds.Add(1)
			}
		})
	}
	for time.Now().Before(end) {
		runtime.GC() // stops the others by signals
	}
	wg.Wait()
	if wrong.Load() != 0 {
		return "", fmt.Errorf("%d of %d results are wrong", wrong.Load(), rounds.Load())
	}
	return fmt.Sprintf("%d rounds", rounds.Load()), nil
}
