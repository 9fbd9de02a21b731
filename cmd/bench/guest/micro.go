package main

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// span is how long a measurement runs.
const span = time.Second

// perCall calls f in growing batches until they have taken span, and returns
// the nanoseconds of one call.
func perCall(f func(n int)) float64 {
	f(1) // caches, page faults, first use
	for n := 64; ; n *= 4 {
		start := time.Now()
		f(n)
		if took := time.Since(start); took >= span/4 {
			// Long enough to extrapolate: one more run of the full length.
			n = int(float64(n)*float64(span)/float64(took)) + 1
			start = time.Now()
			f(n)
			return float64(time.Since(start)) / float64(n)
		}
	}
}

// pingPong passes a token between two goroutines over unbuffered channels. With
// threads each goroutine keeps a thread of its own, so that every pass is a
// switch of threads.
func pingPong(threads bool) float64 {
	ping, pong := make(chan struct{}), make(chan struct{})
	pin := func() func() {
		if !threads {
			return func() {}
		}
		runtime.LockOSThread()
		return runtime.UnlockOSThread
	}
	go func() {
		defer pin()()
		for range ping {
			pong <- struct{}{}
		}
		close(pong)
	}()
	defer pin()()
	value := perCall(func(n int) {
		for range n {
			ping <- struct{}{}
			<-pong
		}
	})
	close(ping)
	<-pong
	return value
}

func now() float64 {
	return perCall(func(n int) {
		var sum int64
		for range n {
			sum += int64(time.Now().Nanosecond())
		}
		runtime.KeepAlive(sum) // or the compiler may drop what is measured
	})
}

// page is the data of the file measurements: 4 KB.
var page = make([]byte, 4096)

// fileWrite measures creating, writing and syncing files, in microseconds. The
// files are new ones each time.
func fileWrite(dir string) (float64, error) {
	work, err := os.MkdirTemp(dir, "filewrite-")
	if err != nil {
		return 0, err
	}
	next := 0
	ns := perCall(func(n int) {
		for range n {
			next++
			if e := writeSynced(filepath.Join(work, strconv.Itoa(next))); e != nil && err == nil {
				err = e
			}
		}
	})
	return ns / 1e3, errors.Join(err, os.RemoveAll(work))
}

func writeSynced(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(page)
	return errors.Join(err, f.Sync(), f.Close())
}

// fileRead measures opening and reading one of a hundred files, in
// microseconds.
func fileRead(dir string) (float64, error) {
	const files = 100
	work, err := os.MkdirTemp(dir, "fileread-")
	if err != nil {
		return 0, err
	}
	for i := range files {
		if err := writeSynced(filepath.Join(work, strconv.Itoa(i))); err != nil {
			return 0, err
		}
	}
	next := 0
	ns := perCall(func(n int) {
		for range n {
			next = (next + 1) % files
			data, e := os.ReadFile(filepath.Join(work, strconv.Itoa(next)))
			if e == nil && len(data) != len(page) {
				e = errors.New("short file")
			}
			if e != nil && err == nil {
				err = e
			}
		}
	})
	return ns / 1e3, errors.Join(err, os.RemoveAll(work))
}

// hash measures SHA-256 on all CPUs at once, in MB/s.
func hash() float64 {
	const block = 1 << 20
	ns := perCall(func(n int) {
		var all sync.WaitGroup
		for range runtime.NumCPU() {
			all.Go(func() {
				data := make([]byte, block)
				for range n {
					sum := sha256.Sum256(data)
					data[0] = sum[0]
				}
			})
		}
		all.Wait()
	})
	return float64(runtime.NumCPU()) * block / 1e6 / (ns / 1e9)
}
