package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"runtime"
	"runtime/goos"
	"syscall"
	"unsafe"

	"github.com/usbarmory/tamago/dma"

	"github.com/tuplix/tuplix/kernel"
)

// checkContract sees that what TamaGo's packages rely on means what it should.
func checkContract() error {
	return errors.Join(checkRegions(), checkDMA(), checkSignals(), checkHooks())
}

func checkRegions() error {
	start, end := runtime.MemRegion()
	text, etext := runtime.TextRegion()
	code := uint64(reflect.ValueOf(checkRegions).Pointer())
	variable := uint64(uintptr(unsafe.Pointer(&tamago)))
	switch {
	case code < text || code >= etext || text < start || etext > end:
		return fmt.Errorf("code at %#x, text %#x-%#x, memory %#x-%#x", code, text, etext, start, end)
	case variable < etext || variable >= end:
		return fmt.Errorf("variable at %#x, text ends %#x, memory ends %#x", variable, etext, end)
	case goos.RamStart != uint(start) || goos.RamStart+goos.RamSize != uint(end):
		return fmt.Errorf("RamStart %#x, RamSize %#x, memory %#x-%#x", goos.RamStart, goos.RamSize, start, end)
	case runtime.CPU() == "" || runtime.GetG() == nil:
		return fmt.Errorf("processor %q, goroutine at %v", runtime.CPU(), runtime.GetG())
	}
	_, err := dma.NewRegion(uint(start), 4096, false)
	if err == nil {
		return errors.New("the program's own memory is given to devices")
	}
	return nil
}

// checkDMA sees that memory for devices is where it says.
func checkDMA() error {
	address, memory := dma.Reserve(3*4096, 4096)
	defer dma.Release(address)
	for i := range memory {
		memory[i] = byte(i >> 4)
	}
	for i := range memory {
		phys := kernel.PhysicalAddress(unsafe.Pointer(&memory[i]))
		if phys != uint64(address)+uint64(i) || kernel.Physical(phys, 1)[0] != byte(i>>4) {
			return fmt.Errorf("byte %d of the region at %#x is at %#x", i, address, phys)
		}
	}
	return nil
}

// checkSignals has a signal come as TamaGo's interrupts would.
func checkSignals() error {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTRAP)
	defer signal.Stop(c)
	for !signal.Waiting() {
		runtime.Gosched()
	}
	signal.Relay(int(syscall.SIGTRAP))
	if got := <-c; got != syscall.SIGTRAP {
		return fmt.Errorf("got %v", got)
	}
	return nil
}

// checkHooks sees that the board, linked as it is, has not set itself up.
func checkHooks() error {
	if goos.Idle != nil || goos.ProcID != nil || goos.Task != nil || goos.Wake != nil {
		return errors.New("hooks are set: a board's initialisation has run")
	}
	for _, c := range []byte("printk speaks\n") {
		goos.Printk(c)
	}
	return nil
}
