package kernel

// Mapping of device registers, memory for devices, and the I/O APICs.

var deviceNext = deviceBase

// mapDevice maps registers uncached, at their own address if identity is set.
func mapDevice(phys uint64, n uintptr, identity bool) uintptr {
	first := phys &^ (pageSize - 1)
	size := (uintptr(phys-first) + n + pageSize - 1) &^ (pageSize - 1)
	if n == 0 || size > maxDevices || phys+uint64(n) < phys || overlapsMemory(first, uint64(size)) {
		return errINVAL
	}
	mem.lock()
	defer mem.unlock()
	va := deviceNext
	if identity {
		va = uintptr(first)
		if va == 0 || va+size > userEnd {
			return errINVAL
		}
		if i := findVMA(va); i < vmaCount && vmaAt(i).start < va+size {
			if vmaAt(i).fixed && vmaAt(i).start <= va && vmaAt(i).end >= va+size {
				return uintptr(phys)
			}
			return errEXIST
		}
		if !insertVMA(findVMA(va), vma{start: va, end: va + size, fixed: true, prot: protRead | protWrite}) {
			return errNOMEM
		}
	} else {
		deviceNext += size
	}
	for off := uintptr(0); off < size; off += pageSize {
		if !mapPage(va+off, first+uint64(off), pteWrite|pteNX|pteNoCache) {
			return errNOMEM
		}
	}
	return va + uintptr(phys-first)
}

// overlapsMemory tells whether a range holds RAM: nobody maps that as a device.
func overlapsMemory(phys, n uint64) bool {
	for i := range memoryMap[:mapCount] {
		e := &memoryMap[i]
		if e.kind == 1 && phys < e.start+e.size && phys+n > e.start {
			return true
		}
	}
	return false
}

func allocDMA(n uintptr) uintptr {
	pages := (uint64(n) + pageSize - 1) / pageSize
	mem.lock()
	p := allocContiguous(pages)
	mem.unlock()
	if p == 0 {
		return errNOMEM
	}
	zero(direct(p), uintptr(pages)*pageSize)
	return uintptr(p)
}

// allocIdentity is allocDMA with a mapping of the memory at its own address.
func allocIdentity(n uintptr) uintptr {
	size := (n + pageSize - 1) &^ (pageSize - 1)
	mem.lock()
	defer mem.unlock()
	p := takeVacant(uint64(size))
	va := uintptr(p)
	if p == 0 || !insertVMA(findVMA(va), vma{start: va, end: va + size, fixed: true, prot: protRead | protWrite}) {
		return errNOMEM
	}
	for off := uintptr(0); off < size; off += pageSize {
		if !mapPage(va+off, p+uint64(off), pteWrite|pteNX) {
			return errNOMEM
		}
	}
	zero(direct(p), size)
	return va
}

// route programs the I/O APIC that has the line (82093AA data sheet): register
// 0x10+2n holds vector, polarity (bit 13), trigger (15) and mask (16); 0x11+2n
// the target.
func route(vector, gsi, flags uintptr) uintptr {
	const level, low = 1, 2
	if flags&level != 0 {
		return errNOTSUP
	}
	sched.lock()
	defer sched.unlock()
	for i := range machine.IOAPIC[:machine.IOAPICs] {
		io := &machine.IOAPIC[i]
		if io.Mapped == 0 {
			io.Mapped = mapDevice(io.Address, 0x20, false)
		}
		store32(io.Mapped, 1)
		lines := load32(io.Mapped+0x10)>>16&0xFF + 1
		if gsi < uintptr(io.Base) || gsi >= uintptr(io.Base+lines) {
			continue
		}
		reg := 0x10 + 2*(uint32(gsi)-io.Base)
		entry := uint32(vector)
		if flags&low != 0 {
			entry |= 1 << 13
		}
		store32(io.Mapped, reg+1)
		store32(io.Mapped+0x10, interruptTarget(vector)<<24)
		store32(io.Mapped, reg)
		store32(io.Mapped+0x10, entry)
		return 0
	}
	return errNODEV
}
