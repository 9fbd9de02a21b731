package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"unsafe"
)

const page = 4096

// checkMappings holds what databases rely on, and what else mappings of files promise,
// against this machine. It is true on Linux as well, which only executes files.
func checkMappings() (err error) {
	f, err := os.OpenFile("/data/mapped", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if err := f.Truncate(2*page + 100); err != nil {
		return err
	}
	const both = syscall.PROT_READ | syscall.PROT_WRITE
	m, err := syscall.Mmap(int(f.Fd()), 0, 200*page, both, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	again, err := syscall.Mmap(int(f.Fd()), page, page, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	for _, check := range []func(f *os.File, m, again []byte) error{checkCoherent, checkEnd, checkGrowth, checkSync} {
		if err := check(f, m, again); err != nil {
			return err
		}
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	if strings.Contains(string(release), "tuplix") && syscall.Mprotect(again, syscall.PROT_READ|syscall.PROT_EXEC) == nil {
		return errors.New("a file's mapping may be executed")
	}
	return errors.Join(syscall.Munmap(m), syscall.Munmap(again))
}

// checkCoherent: mappings, read and write see the same bytes.
func checkCoherent(f *os.File, m, again []byte) error {
	m[page] = 'm'
	got := make([]byte, 2)
	if _, err := f.ReadAt(got, page); err != nil || got[0] != 'm' || again[0] != 'm' {
		return fmt.Errorf("what a mapping stored is read as %q, mapped as %q: %w", got[0], again[0], err)
	}
	if _, err := f.WriteAt([]byte("w"), page+1); err != nil || m[page+1] != 'w' || again[1] != 'w' {
		return fmt.Errorf("what was written is %q and %q: %w", m[page+1], again[1], err)
	}
	return nil
}

// faults tells whether an access of the byte is a fault.
func faults(p *byte) (fault bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { fault = recover() != nil }()
	*(*byte)(unsafe.Pointer(p))++
	return false
}

// checkEnd: beyond the last page of the file is nothing.
func checkEnd(f *os.File, m, again []byte) error {
	if faults(&m[3*page-1]) || !faults(&m[3*page]) || !faults(&m[199*page]) || !faults(&again[0]) {
		return errors.New("faults are not where the file ends, or where it may not be written")
	}
	return nil
}

// checkGrowth: a mapping shows what the file gets, and no longer what it loses.
func checkGrowth(f *os.File, m, again []byte) error {
	data := bytes.Repeat([]byte("grown"), 20000)
	if _, err := f.WriteAt(data, 2*page+50); err != nil || !bytes.Equal(m[2*page+50:][:len(data)], data) {
		return fmt.Errorf("a mapping does not show what the file got: %w", err)
	}
	if err := f.Truncate(page); err != nil || !faults(&m[page]) || faults(&m[page-1]) {
		return fmt.Errorf("a mapping shows what the file has lost: %w", err)
	}
	if err := f.Truncate(3 * page); err != nil || m[page] != 0 || m[2*page+50] != 0 || again[0] != 0 {
		return fmt.Errorf("what was cut off is back: %w", err)
	}
	return nil
}

// checkSync: msync, and a mapping that outlives its descriptor.
func checkSync(f *os.File, m, again []byte) error {
	copy(m[2*page:], "stored")
	if _, _, e := syscall.Syscall(syscall.SYS_MSYNC, uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), syscall.MS_SYNC); e != 0 {
		return e
	}
	copy(m[2*page:], "STORED")
	other, err := os.ReadFile(f.Name())
	if err != nil || !bytes.HasPrefix(other[2*page:], []byte("STORED")) {
		return fmt.Errorf("after msync: %w", err)
	}
	private, err := syscall.Mmap(int(f.Fd()), 2*page, page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE)
	if err != nil {
		return err
	}
	private[0] = 'x'
	if m[2*page] != 'S' || string(private[:6]) != "xTORED" {
		return errors.New("a private mapping is not private")
	}
	return syscall.Munmap(private)
}
