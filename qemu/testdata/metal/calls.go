package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/tuplix/tuplix/kernel"
)

func trapCall(nr, a0, a1, a2, a3 uintptr) uintptr

// hotRounds is how often each call is made.
const hotRounds = 2000

// hotMost is how many traps or thread switches a call may have on average beyond what it
// needs: those of the runtime's monitor and of the clock, which come by time.
const hotMost = 0.1

// hotCall is a call that programs make all the time.
type hotCall struct {
	name     string
	traps    float64 // that it needs
	switches float64 // that it may have: where it waits, sometimes nobody else is ready
	do       func() error
}

// hotCalls checks that the calls which programs make all the time are function calls: no
// other thread, and no trap but for the number of a descriptor and for epoll. Before, they were traps that a worker served; one is made so
// for comparison, where there is a second processor for the worker.
func hotCalls() (string, error) {
	f, err := os.Create("/tmp/hot")
	if err != nil {
		return "", err
	}
	buffer := make([]byte, 4096)
	if _, err := f.Write(buffer); err != nil {
		return "", err
	}
	ours, theirs, err := connection()
	if err != nil {
		return "", err
	}
	list := []hotCall{
		{"read", 0, 0, func() error { _, err := f.ReadAt(buffer, 0); return err }},
		{"write", 0, 0, func() error { _, err := f.WriteAt(buffer, 0); return err }},
		{"stat", 0, 0, func() error { _, err := os.Stat("/tmp/hot"); return err }},
		{"open+close", 2, 0, func() error {
			fd, err := syscall.Open("/tmp/hot", syscall.O_RDONLY, 0)
			return errors.Join(err, syscall.Close(fd))
		}},
		{"send+recv", 3, 0.4, func() error {
			if _, err := ours.Write(buffer[:8]); err != nil {
				return err
			}
			_, err := io.ReadFull(theirs, buffer[:8])
			return err
		}},
	}
	report, err := measureCalls(list)
	if err == nil && runtime.NumCPU() > 1 {
		fd := f.Fd()
		report += "; by a trap " + measureCall(func() error {
			if n := trapCall(syscall.SYS_PREAD64, fd, uintptr(unsafe.Pointer(&buffer[0])), 4096, 0); n != 4096 {
				return fmt.Errorf("%d bytes", int(n))
			}
			return nil
		}).String()
	}
	return report, errors.Join(err, f.Close(), ours.Close(), theirs.Close())
}

// connection is a TCP connection of the machine with itself.
func connection() (ours, theirs net.Conn, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if ours, err = net.Dial("tcp", l.Addr().String()); err != nil {
		return nil, nil, err
	}
	theirs, err = l.Accept()
	return ours, theirs, err
}

// callCost is what one call costs on average.
type callCost struct {
	traps, switches float64
	time            time.Duration
	err             error
}

func (c callCost) String() string {
	return fmt.Sprintf("%.2f traps, %.2f switches, %v", c.traps, c.switches, c.time)
}

// measureCalls has one thread for all goroutines, so that a switch to another is not
// that of a goroutine which a call has woken.
func measureCalls(list []hotCall) (string, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var reports []string
	for _, c := range list {
		cost := measureCall(c.do)
		if cost.err != nil {
			return "", fmt.Errorf("%s: %w", c.name, cost.err)
		}
		reports = append(reports, c.name+" "+cost.String())
		if cost.traps > c.traps+hotMost || cost.switches > c.switches+hotMost {
			return "", errors.New(strings.Join(reports, "; "))
		}
	}
	return strings.Join(reports, "; "), nil
}

func measureCall(do func() error) (c callCost) {
	if c.err = do(); c.err != nil { // the first may cost more
		return c
	}
	before, start := kernel.ReadStats(), time.Now()
	for range hotRounds {
		if c.err = do(); c.err != nil {
			return c
		}
	}
	after := kernel.ReadStats()
	c.time = time.Since(start) / hotRounds
	c.traps = float64(after.Calls-before.Calls) / hotRounds
	c.switches = float64(after.Switches-before.Switches) / hotRounds
	return c
}
