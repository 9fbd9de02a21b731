package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/tuplix/tuplix/kernel"
)

// stay never ends: it waits, calculates or calls the kernel all the time, and two
// goroutines that wait are there to be reported.
func stay(how string) {
	work := map[string]func(){"waiting": func() { select {} }, "busy": func() {}, "calling": func() { syscall.Getuid() }}[how]
	go func() { select {} }()
	go func() { select {} }()
	fmt.Println("it stays,", how)
	for {
		work()
	}
}

// allThreads: a call that every thread is to make is made once where it concerns
// the whole process, and by each thread where it is the kernel's own.
func allThreads() (string, error) {
	const old, first, second = 0o22, 0o70, 0o7
	syscall.Umask(old)
	defer syscall.Umask(old)
	a, _, e := syscall.AllThreadsSyscall(syscall.SYS_UMASK, first, 0, 0)
	if e != 0 || a != old {
		return "", fmt.Errorf("the mask was %o (%v), want %o", a, e, old)
	}
	b, _, e := syscall.AllThreadsSyscall6(syscall.SYS_UMASK, second, 0, 0, 0, 0, 0)
	if e != 0 || b != first {
		return "", fmt.Errorf("the mask was %o (%v), want %o", b, e, first)
	}
	if _, _, e := syscall.AllThreadsSyscall(syscall.SYS_FSYNC, 9999, 0, 0); e != syscall.EBADF {
		return "", fmt.Errorf("fsync of nothing: %v", e)
	}
	if _, _, e := syscall.AllThreadsSyscall(syscall.SYS_PRCTL, 0, 0, 0); e != 0 {
		return "", e
	}
	return "once for all", nil
}

// heapDump: a dump is whole, and larger than what is alive; and nothing is dumped
// if there is no memory for it.
func heapDump() (string, error) {
	report, err := dumpObjects()
	if err == nil {
		err = dumpTooMuch()
	}
	return report, err
}

func dumpTooMuch() error {
	debug.FreeOSMemory()
	large := make([]byte, kernel.ReadStats().MemoryFree*2/3)
	for i := 0; i < len(large); i += 4096 {
		large[i] = 1
	}
	f, err := os.Create("/heap")
	if err != nil {
		return err
	}
	debug.WriteHeapDump(f.Fd())
	runtime.KeepAlive(large)
	info, err := f.Stat()
	if err == nil && info.Size() != 0 {
		err = fmt.Errorf("%d bytes of a dump for which there is no memory", info.Size())
	}
	large = nil
	debug.FreeOSMemory()
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

func dumpObjects() (string, error) {
	const header = "go1.7 heap dump\n"
	debug.FreeOSMemory()
	alive := make([][]byte, 40)
	for i := range alive {
		alive[i] = bytes.Repeat([]byte{byte(i), 0xA5}, 8<<10)
	}
	f, err := os.Create("/heap")
	if err != nil {
		return "", err
	}
	defer f.Close()
	debug.WriteHeapDump(f.Fd())
	dump, err := os.ReadFile(f.Name())
	if err != nil {
		return "", err
	}
	if !bytes.HasPrefix(dump, []byte(header)) || len(dump) < len(alive)*16<<10 || dump[len(dump)-1] != 0 {
		return "", fmt.Errorf("%d bytes, of which the first are %q and the last %q", len(dump), dump[:min(40, len(dump))], dump[max(0, len(dump)-40):])
	}
	for i, b := range alive {
		if !bytes.Contains(dump, b) {
			return "", fmt.Errorf("object %d of %d is not in it", i, len(alive))
		}
	}
	runtime.KeepAlive(alive)
	return fmt.Sprintf("%d KiB", len(dump)>>10), os.Remove(f.Name())
}
