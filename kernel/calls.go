package kernel

// Private system calls: the way from Go context into trap context. Numbers
// are far above Linux's. New ones go to the end: what is added to package runtime knows
// some by number (TestNumbersInRuntime).
const (
	callMapDevice     = 0x7000 + iota // phys, n, identity -> va
	callAllocDMA                      // n -> phys
	callNewInterrupt                  // -> fd<<8 | vector
	callRoute                         // vector, gsi, flags
	callAllocFD                       // min, pollable -> fd
	callFreeFD                        // fd
	callPostFD                        // fd, events
	callNext                          // *request
	callServing                       //
	callSetClock                      // ns since 1970
	callPowerOff                      // status
	callReset                         //
	callTest                          // which: a fault on purpose (panic_amd64.go)
	callAwaitEvents                   // patience in ns or 0 -> 1 when the runtime should poll, else 0 (alert.go)
	callAllocIdentity                 // n -> phys
	callAddEntropy                    // p, n
	callRefineClock                   // -> Hz
	callWatchDeath                    // -> fd (die.go)
	callPostpone                      // signal -> 1 if its death waits until all is saved (die.go)
	callMapFile                       // hint, n, prot | flags<<8, home, limit -> va (filespace.go)
	callLimitFile                     // va, n, limit
	callTakeDirty                     // va, pages -> a bit for each
	callUnmap                         // va, n
	callMapMemory                     // hint, n, prot, flags -> va
	callNextRange                     // va, *rangeRequest (ranges.go)
	callShiftClock                    // ns, signed
	callEnd
)

// Linux error numbers as results.
const (
	errPERM   = ^uintptr(0)
	errNOENT  = ^uintptr(2 - 1)
	errSRCH   = ^uintptr(3 - 1)
	errINTR   = ^uintptr(4 - 1)
	errBADF   = ^uintptr(9 - 1)
	errAGAIN  = ^uintptr(11 - 1)
	errNOMEM  = ^uintptr(12 - 1)
	errACCES  = ^uintptr(13 - 1)
	errFAULT  = ^uintptr(14 - 1)
	errEXIST  = ^uintptr(17 - 1)
	errNODEV  = ^uintptr(19 - 1)
	errINVAL  = ^uintptr(22 - 1)
	errMFILE  = ^uintptr(24 - 1)
	errNOTSUP = ^uintptr(95 - 1)
	errNOSYS  = ^uintptr(38 - 1)
	errLOOP   = ^uintptr(40 - 1)
	errTIMED  = ^uintptr(110 - 1)
)
