package acpi

// Timers are the counters of known frequency that the tables name.
type Timers struct {
	PMPort uint16 // of the power management timer, 3.579545 MHz; 0 if there is none
	PMMask uint32 // its bits: 24 or 32
	HPET   uint64 // physical address of the HPET's registers, 0 if there is none
}

// Address spaces of a generic address structure (5.2.3.2: 0 space, 1 width in bits,
// 4 address).
const (
	spaceMemory = 0
	spacePorts  = 1
)

// ReadTimers fills t from FADT (ACPI 6.5, 5.2.9: 76 PM_TMR_BLK, 91 PM_TMR_LEN, 112
// flags, of which bit 8 says that the timer has 32 bits and bit 20 that there is no
// such hardware, 208 X_PM_TMR_BLK) and HPET (IA-PC HPET specification 1.0a, 3.2.4: 40
// address). A table that is damaged names nothing.
func ReadTimers(read Reader, rsdp uint64, t *Timers) Error {
	*t = Timers{}
	at, e := find(read, rsdp, "FACP")
	if e != OK {
		return e
	}
	if f := table(read, at); at != 0 && len(f) >= 116 {
		t.readFADT(f)
	}
	if at, e = find(read, rsdp, "HPET"); e != OK {
		return e
	}
	if h := table(read, at); at != 0 && len(h) >= 52 && h[40] == spaceMemory {
		t.HPET = u64(h[44:])
	}
	return OK
}

func (t *Timers) readFADT(f []byte) {
	const wide, reduced = 1 << 8, 1 << 20
	flags := u32(f[112:])
	if flags&reduced != 0 || f[91] != 4 {
		return
	}
	port := uint64(u32(f[76:]))
	if len(f) >= 220 && f[208] == spacePorts && u64(f[212:]) != 0 {
		port = u64(f[212:])
	}
	if port == 0 || port > 0xFFFC {
		return
	}
	t.PMPort, t.PMMask = uint16(port), 1<<24-1
	if flags&wide != 0 {
		t.PMMask = 1<<32 - 1
	}
}
