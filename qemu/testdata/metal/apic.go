package main

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/tuplix/tuplix/kernel"
)

// In apic_amd64.s. There is one privilege level, so that a program may do this.
func readMSR(msr uint32) uint64
func writeMSR(msr uint32, v uint64)
func features() uint32 // CPUID's leaf 1, ECX

// The local APIC (Intel SDM volume 3, 11.4.4 and 11.12.1): its registers are in
// memory, or in x2APIC mode model-specific registers, one for each 16 bytes.
const (
	apicPhys     = 0xFEE00000
	apicID       = 0x020
	apicTimer    = 0x320
	msrAPICBase  = 0x1B
	msrX2APIC    = 0x800
	baseExtended = 1 << 10 // of msrAPICBase: x2APIC mode
	baseEnabled  = 1 << 11
	hasX2APIC    = 1 << 21 // of features
	hasDeadline  = 1 << 24
	timerMasked  = 1 << 16
	timerMode    = 3 << 17
	modeDeadline = 2 << 17
)

// apic reaches the registers of the processor that this runs on.
type apic struct{ memory uintptr } // 0 in x2APIC mode

// openAPIC looks what the processors can do, and expects the kernel to use it.
func openAPIC() (apic, error) {
	if features()&hasX2APIC != 0 {
		return apic{}, nil
	}
	memory, err := kernel.MapDevice(apicPhys, 4096)
	return apic{memory}, err
}

func (a apic) register(offset uintptr) *uint32 {
	return (*uint32)(unsafe.Add(nil, a.memory+offset))
}

func (a apic) read(offset uintptr) uint32 {
	if a.memory == 0 {
		return uint32(readMSR(msrX2APIC + uint32(offset>>4)))
	}
	return *a.register(offset)
}

func (a apic) write(offset uintptr, v uint32) {
	if a.memory == 0 {
		writeMSR(msrX2APIC+uint32(offset>>4), uint64(v))
		return
	}
	*a.register(offset) = v
}

// localAPIC: every processor is in x2APIC mode if it can be, its timer takes
// deadlines if it can, and the kernel says the same.
func localAPIC() (string, error) {
	a, err := openAPIC()
	if err != nil {
		return "", err
	}
	var mu sync.Mutex
	seen := map[uint32]bool{}
	var wrong error
	all := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return wrong != nil || len(seen) == runtime.NumCPU()
	}
	var wg sync.WaitGroup
	late := time.Now().Add(20 * time.Second)
	for range 2 * runtime.NumCPU() { // more than there are processors, and busy
		wg.Go(func() {
			for !all() && time.Now().Before(late) {
				id, err := a.look()
				mu.Lock()
				seen[id] = true
				if err != nil {
					wrong = err
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if wrong == nil && len(seen) != runtime.NumCPU() {
		wrong = fmt.Errorf("%d of %d processors seen", len(seen), runtime.NumCPU())
	}
	if wrong != nil {
		return "", wrong
	}
	report := a.mode() + ", " + timerKind()
	if !strings.Contains(string(kernel.Log()), "processors: "+report) {
		return "", fmt.Errorf("the processors have %s, the kernel says:\n%s", report, kernel.Log())
	}
	return fmt.Sprintf("%s on %d CPUs", report, len(seen)), nil
}

// look checks the processor that it runs on, which may be another one from one
// register to the next.
func (a apic) look() (id uint32, err error) {
	base := readMSR(msrAPICBase)
	if base&baseEnabled == 0 || (base&baseExtended != 0) != (a.memory == 0) {
		return 0, fmt.Errorf("APIC base is %#x, mode %s", base, a.mode())
	}
	timer := a.read(apicTimer)
	if timer&timerMasked != 0 || (timer&timerMode == modeDeadline) != (features()&hasDeadline != 0) {
		return 0, fmt.Errorf("the timer's vector is %#x, features %#x", timer, features())
	}
	id = a.read(apicID)
	if a.memory != 0 {
		id >>= 24
	}
	return id, nil
}

func (a apic) mode() string {
	if a.memory == 0 {
		return "x2APIC"
	}
	return "xAPIC"
}

func timerKind() string {
	if features()&hasDeadline != 0 {
		return "TSC deadline timer"
	}
	return "counting timer"
}
