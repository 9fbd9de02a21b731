package kernel

import "unsafe"

// The kernel's console: the first serial port (16550), written byte by byte
// and waited for, so that it works whatever else does not.
const (
	com1       = 0x3F8
	uartData   = com1
	uartEnable = com1 + 1
	uartFIFO   = com1 + 2
	uartLine   = com1 + 3
	uartModem  = com1 + 4
	uartStatus = com1 + 5
)

// earlyInput is what was typed before the console had its FIFO: turning that
// on empties the port.
var (
	earlyInput  [64]byte
	earlyLength int
)

func initConsole() {
	const loop = 0x1B
	out8(uartEnable, 0)
	out8(uartLine, 0x80) // divisor latch
	out8(uartData, 1)    // 115200 baud
	out8(uartEnable, 0)
	out8(uartLine, 3)     // 8 bits, no parity, one stop bit
	out8(uartModem, loop) // nothing comes in meanwhile
	for earlyLength < len(earlyInput) && in8(uartStatus)&1 != 0 {
		earlyInput[earlyLength] = in8(uartData)
		earlyLength++
	}
	out8(uartFIFO, 1)
	out8(uartModem, 0xB)
}

var consoleLock spinLock

func consoleWrite(s string) {
	consoleLock.lock()
	for i := 0; i < len(s); i++ {
		if s[i] == '\n' {
			consolePut('\r')
		}
		consolePut(s[i])
	}
	consoleLock.unlock()
}

func consolePut(b byte) {
	// A port that is not there reads as ones, so this ends.
	for range 1 << 20 {
		if in8(uartStatus)&0x20 != 0 {
			break
		}
	}
	out8(uartData, b)
}

// view is b as a string, without a copy.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// cString is the text at a physical address up to its zero byte, at most 4 KiB.
func cString(phys uint64) string {
	if phys == 0 {
		return ""
	}
	for n := 1; n <= maxCmdline; n++ {
		b := Physical(phys, n)
		if b == nil {
			return ""
		}
		if b[n-1] == 0 {
			return string(b[:n-1])
		}
	}
	return ""
}

// syslog is klogctl(2): what dmesg needs.
func syslog(op, buffer, n uintptr) uintptr {
	const readAll, size = 3, 10
	switch op {
	case size:
		return logSize
	case readAll:
		if !accessible(buffer, n, true) {
			return errFAULT
		}
		end := logEnd.Load()
		have := min(end, logSize, uint64(n))
		for i := range have {
			*at[byte](buffer + uintptr(i)) = logBytes[(end-have+i)%logSize]
		}
		return uintptr(have)
	}
	return errINVAL
}
