package kernel

import "github.com/tuplix/tuplix/kernel/acpi"

// What the boot loader left, copied out of its memory before that is reused.
var (
	booted         bool
	commandLine    [maxCmdline]byte
	commandLineLen int
	rsdp           uint64
	modules        [maxModules]bootModule
	moduleCount    int
	memoryMap      [maxRegions]mapEntry
	mapCount       int
)

type bootModule struct {
	start, size, commandLine uint64
}

// mapEntry is one entry of the memory map: type 1 is usable RAM, other kinds
// of memory (ACPI tables) have 2 to 4.
type mapEntry struct {
	start, size uint64
	kind        uint32
}

// bootArea is the first stack and the first page tables (boot_amd64.s). It is
// the kernel's largest variable: the linker sorts variables by size, so those
// behind it are not the kernel's and may be backed on demand.
var bootArea [64<<10 + 4096]byte

// kernelG is the g of trap context: all zero, so that its stack has no end,
// and what would need an M faults. kernelTLS holds its address where Go looks.
var (
	kernelG   [512]byte
	kernelTLS [2]uintptr
)

func programEntry() uintptr
func pvhAddress() uintptr
func imageText() uintptr
func imageEnd() uintptr

// keepEntry keeps the boot entry in the image; nothing else refers to it.
var keepEntry = pvhAddress()

// boot makes the machine usable and leaves the processor with the Go program
// as its current thread. start is the physical address of the PVH start info.
func boot(start uint64) {
	booted = true
	initConsole()
	readStartInfo(start)
	quiet = hasOption("quiet")
	initMemory()
	makeIDT()
	findAPIC()
	bootAPIC = initAPIC()
	newProcessor(0, bootAPIC).load()
	initClock()
	findEmulator()
	enableTimer()
	enableNMI()
	gather()
	threads = makeTable(maxThreads, threadSize)
	initDescriptors()
	initFutexes()
	cpuCount = 1
	findProcessors()
	makeVDSO()
	makeProgram()
	startProcessors()
	var n, m number
	say("tuplix: ", n.dec(uint64(cpuCount)), " CPUs, ", m.dec(pagesTotal*pageSize>>20), " MiB")
	noteHardware()
	leave(thisProcessor())
}

// noteHardware notes in the log which of several ways this machine's processors
// are used in.
func noteHardware() {
	apic, timer, wall := "xAPIC", "counting timer", ""
	if x2apic {
		apic = "x2APIC"
	}
	if deadlines {
		timer = "TSC deadline timer"
	}
	if wallKnown {
		wall = ", time of day by KVM"
	}
	var n number
	note("processors: ", apic, ", ", timer, ", TSC of ", n.dec(tscHz/1_000_000), " MHz by ", tscSource.String(), wall)
}

// readStartInfo takes over what PVH passes (struct hvm_start_info, version 1).
func readStartInfo(p uint64) {
	const magic = 0x336EC578
	if load32(uintptr(p)) != magic {
		crash("not started by PVH")
	}
	word := func(off uint64) uint64 { return *at[uint64](uintptr(p + off)) }
	count := int(load32(uintptr(p + 12)))
	for i := 0; i < count && i < maxModules; i++ {
		m := uintptr(word(16)) + uintptr(i)*32
		modules[i] = bootModule{*at[uint64](m), *at[uint64](m + 8), *at[uint64](m + 16)}
		moduleCount++
	}
	if s := uintptr(word(24)); s != 0 {
		for commandLineLen < maxCmdline-1 {
			b := *at[byte](s + uintptr(commandLineLen))
			if b == 0 {
				break
			}
			commandLine[commandLineLen] = b
			commandLineLen++
		}
	}
	rsdp = word(32)
	if load32(uintptr(p+4)) < 1 || word(40) == 0 {
		crash("the boot loader gave no memory map")
	}
	entries := int(load32(uintptr(p + 48)))
	for i := 0; i < entries && i < maxRegions; i++ {
		e := uintptr(word(40)) + uintptr(i)*24
		memoryMap[i] = mapEntry{*at[uint64](e), *at[uint64](e + 8), load32(e + 16)}
		mapCount++
	}
}

// segment is one PT_LOAD of the image, which lies in memory as its own
// headers say.
type segment struct {
	start, end uintptr // page-aligned
	flags      uint64  // for its page table entries
}

// readSegments takes the image's segments from the ELF header, which the
// linker puts into the page before the text.
func readSegments() (list [8]segment, count int) {
	header := imageText()&^(pageSize-1) - pageSize
	if load32(header) != 0x464C457F {
		crash("the image has no ELF header in memory")
	}
	phdr := header + *at[uintptr](header + 32)
	for range *at[uint16](header + 56) {
		const load, exec, write = 1, 1, 2
		if load32(phdr) == load && count < len(list) {
			s := &list[count]
			s.start = *at[uintptr](phdr + 16) &^ (pageSize - 1)
			s.end = (*at[uintptr](phdr + 16) + *at[uintptr](phdr + 40) + pageSize - 1) &^ (pageSize - 1)
			switch f := load32(phdr + 4); {
			case f&write != 0:
				s.flags = pteWrite | pteNX
			case f&exec == 0:
				s.flags = pteNX
			}
			count++
		}
		phdr += 56
	}
	return list, count
}

// initMemory hands the free memory to the allocator, and replaces the boot
// loader's and our first page tables by the real ones.
func initMemory() {
	list, count := readSegments()
	segments := list[:count]
	first := segments[0].start
	resident := (address(&bootArea) + uintptr(len(bootArea)) + pageSize - 1) &^ (pageSize - 1)
	// What follows in the image may lie beyond the end of memory.
	image := region{uint64(first), uint64(resident)}
	addMemory(1<<20, mappedAtBoot, image)
	addGaps(segments)
	mem.lock()
	pageRoot = allocContiguous(1)
	zero(direct(pageRoot), pageSize)
	for _, s := range segments {
		mapImage(s.start, min(s.end, resident), s.flags)
	}
	for i := range memoryMap[:mapCount] {
		e := &memoryMap[i]
		mapDirect(e.start, e.start+e.size, segments)
	}
	mapDirect(0, 1<<20, nil)
	mapPage(trampolinePage, trampolinePage, pteWrite|pteNX)
	writeCR3(pageRoot)
	physOffset = directBase

	vmaBase = direct(allocContiguous((maxVMAs*vmaSize + pageSize - 1) / pageSize))
	insertVMA(0, vma{start: 0, end: 1 << 20, fixed: true})
	insertVMA(1, vma{start: first, end: resident, fixed: true})
	mem.unlock()
	addMemory(mappedAtBoot, 1<<52, image)
	// The image's last, large variables (one of them is 32 MiB of zeroes that
	// are never touched) come as they are touched; the image's build leaves
	// them out of what is loaded.
	if end := (imageEnd() + pageSize - 1) &^ (pageSize - 1); resident < end {
		insertVMA(2, vma{start: resident, end: end, prot: protRead | protWrite})
	}
}

// mappedAtBoot is the end of what the first page tables map: the page tables
// that replace them must lie below.
const mappedAtBoot = 4 << 30

// addGaps adds the memory between the image's segments: last, so that it is used
// first. Its neighbours are in use, and part of it held the compressed image, so
// that the host has most likely given it to the machine already.
func addGaps(segments []segment) {
	for i := 1; i < len(segments); i++ {
		addRegion(uint64(segments[i-1].end), uint64(segments[i].start))
	}
}

// addMemory adds the usable memory of the map that lies in [start, end).
func addMemory(start, end uint64, image region) {
	for i := range memoryMap[:mapCount] {
		e := &memoryMap[i]
		if e.kind == 1 {
			addFree(region{max(e.start, start), min(e.start+e.size, end)}, image, 0)
		}
	}
}

// addFree adds what of r is neither the image nor a boot module.
func addFree(r, image region, next int) {
	if r.start >= r.end {
		return
	}
	hole := image
	if next > 0 {
		m := &modules[next-1]
		hole = region{m.start &^ (pageSize - 1), m.start + m.size}
	}
	if next == moduleCount {
		if hole.start >= r.end || hole.end <= r.start {
			addRegion(r.start, r.end)
			return
		}
		addRegion(r.start, max(r.start, min(r.end, hole.start)))
		addRegion(max(r.start, min(r.end, hole.end)), r.end)
		return
	}
	if hole.start >= r.end || hole.end <= r.start {
		addFree(r, image, next+1)
		return
	}
	addFree(region{r.start, max(r.start, hole.start)}, image, next+1)
	addFree(region{min(r.end, hole.end), r.end}, image, next+1)
}

// mapImage maps part of the image where it lies. mem is held.
func mapImage(start, end uintptr, flags uint64) {
	for va := start &^ (pageSize - 1); va < end; va += pageSize {
		if !mapPage(va, uint64(va), flags) {
			crash("no memory for page tables")
		}
	}
}

// mapDirect maps memory into the kernel's linear map, writable and not
// executable, but the segments that are not writable read-only. mem is held.
func mapDirect(start, end uint64, segments []segment) {
	const large = 2 << 20
	start &^= pageSize - 1
	end = (end + pageSize - 1) &^ (pageSize - 1)
	for p := start; p < end; {
		va := directBase + uintptr(p)
		if p&(large-1) == 0 && p+large <= end && !isConstant(segments, p, large) {
			mapLarge(va, p, pteWrite|pteNX)
			p += large
			continue
		}
		flags := uint64(pteWrite | pteNX)
		if isConstant(segments, p, pageSize) {
			flags = pteNX
		}
		if e := entry(va, true); e != nil && *e&ptePresent == 0 {
			*e = p | flags | ptePresent
		}
		p += pageSize
	}
}

// isConstant tells whether part of the n bytes at p is in a segment that is not
// writable.
func isConstant(segments []segment, p, n uint64) bool {
	for _, s := range segments {
		if s.flags&pteWrite == 0 && p < uint64(s.end) && p+n > uint64(s.start) {
			return true
		}
	}
	return false
}

// isMapped tells whether the linear map has all of [phys, phys+n).
func isMapped(phys, n uint64) bool {
	if phys+n < phys || phys+n <= 1<<20 {
		return phys+n > phys
	}
	for i := range memoryMap[:mapCount] {
		e := &memoryMap[i]
		if phys >= e.start && phys+n <= e.start+e.size {
			return true
		}
	}
	return false
}

// findProcessors lists the machine's processors from ACPI's MADT, or else
// from the MP table, so that Go learns their number before they run.
func findProcessors() {
	var m acpi.Machine
	if rsdp != 0 {
		if e := acpi.ReadMachine(Physical, rsdp, &m); e != acpi.OK {
			say("acpi: ", e.String())
		}
	}
	if m.Processors == 0 {
		if e := acpi.ReadMP(Physical, &m); e != acpi.OK && rsdp == 0 {
			say("mp table: ", e.String())
		}
	}
	limit := maxCPUs
	if n, ok := numberOption("cpus"); ok && n > 0 {
		limit = min(limit, n)
	}
	for _, id := range m.Processor[:m.Processors] {
		if id == bootAPIC || cpuCount >= limit {
			continue
		}
		newProcessor(cpuCount, id)
		cpuCount++
	}
	machine = m
}

// machine is what ACPI told of interrupts.
var machine acpi.Machine
