package main

import (
	"fmt"
	"reflect"
	"runtime/debug"
	"syscall"
	"unsafe"

	"github.com/tuplix/tuplix/kernel"
)

// Where the kernel keeps its linear map of memory and its stacks (package
// kernel's limits.go).
const (
	directBase = 0xFFFF_8000_0000_0000
	stackBase  = 0xFFFF_C000_0000_0000
)

// callTest is the kernel's private call that breaks a rule on purpose.
const callTest, overflowStack = 0x700c, 1

var constant = "a constant of this program, in memory that is not to be written"

func pointer(a uintptr) *byte { return (*byte)(unsafe.Add(nil, a)) }

// fault runs f, which must fault, and returns the address that it faulted at.
func fault(f func()) (at uintptr, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch e := recover().(type) {
		case nil:
			err = fmt.Errorf("nothing happened")
		case interface{ Addr() uintptr }:
			at = e.Addr()
		default:
			err = fmt.Errorf("panic: %v", e)
		}
	}()
	f()
	return 0, nil
}

// faults breaks the rules of memory, each of which must end in a panic that
// the program can recover from, and leave nothing changed.
func faults() (string, error) {
	text := reflect.ValueOf(pointer).Pointer()
	code := make([]byte, 64)
	for i := range code {
		code[i] = 0xC3 // return
	}
	codeAt := uintptr(unsafe.Pointer(&code[0]))
	target := &codeAt
	was := *pointer(text)
	write := func(a uintptr) func() { return func() { *pointer(a) = 0x90 } }
	for _, c := range []struct {
		what string
		do   func()
		at   uintptr
	}{
		{"write to the program's code", write(text), text},
		{"write to the code through the kernel's map", write(directBase + text), directBase + text},
		{"write to constants", write(uintptr(unsafe.Pointer(unsafe.StringData(constant)))), uintptr(unsafe.Pointer(unsafe.StringData(constant)))},
		{"execution of the heap", func() { (*(*func())(unsafe.Pointer(&target)))() }, codeAt},
		{"dereference of nil", func() { *(*int)(nil) = 1 }, 0},
		{"access of page 0", func() { *pointer(8)++ }, 8},
		{"access of the guard page of a kernel stack", write(stackBase + 8), stackBase + 8},
		{"access of nothing", write(0x5000_0000_0000), 0x5000_0000_0000},
	} {
		at, err := fault(c.do)
		if c.at == 0 || c.at == 8 { // Go does not tell the address of these
			at = c.at
			if err != nil && err.Error() == "panic: runtime error: invalid memory address or nil pointer dereference" {
				err = nil
			}
		}
		if err != nil || at != c.at {
			return "", fmt.Errorf("%s: fault at %#x, want %#x: %v", c.what, at, c.at, err)
		}
	}
	if *pointer(text) != was {
		return "", fmt.Errorf("the code was written")
	}
	// Mappings both writable and executable are refused.
	if _, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE|syscall.PROT_EXEC, syscall.MAP_ANON|syscall.MAP_PRIVATE); err == nil {
		return "", fmt.Errorf("memory both writable and executable is to be had")
	}
	return "8 rules hold", nil
}

// overflow lets the kernel run out of its own stack.
func overflow() {
	go func() { select {} }()
	syscall.RawSyscall(callTest, overflowStack, 0, 0)
}

// exhaust uses up all memory.
func exhaust() {
	go func() { select {} }()
	var all [][]byte
	for {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
	}
}

// high finds memory above 4 GB, and that it is as good as any.
func high() int {
	s := kernel.ReadStats()
	b := make([]byte, 256<<20)
	var below, above int
	for i := 0; i < len(b); i += 4096 {
		*(*uintptr)(unsafe.Pointer(&b[i])) = uintptr(i) * 7
		if kernel.PhysicalAddress(unsafe.Pointer(&b[i])) >= 4<<30 {
			above++
		} else {
			below++
		}
	}
	for i := 0; i < len(b); i += 4096 {
		if *(*uintptr)(unsafe.Pointer(&b[i])) != uintptr(i)*7 {
			fmt.Println("page", i, "holds something else")
			return 1
		}
	}
	fmt.Printf("total %d MiB, pages below 4 GB: %d, above: %d\n", s.MemoryTotal>>20, below, above)
	if above == 0 {
		return 1
	}
	return 0
}
