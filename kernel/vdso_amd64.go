package kernel

// The vDSO: a small ELF image from which the Go runtime takes the address of
// clock_gettime, so that reading the clock costs no trap. The runtime finds it
// by AT_SYSINFO_EHDR, and reads (runtime/vdso_linux.go) the program headers,
// the dynamic section, the hash table and the symbol versions.
//
//	0x000  ELF header
//	0x040  PT_LOAD, PT_DYNAMIC
//	0x0B0  dynamic section: STRTAB SYMTAB HASH VERSYM VERDEF NULL
//	0x140  symbols: null, __vdso_clock_gettime
//	0x170  SysV hash: one bucket, two chains
//	0x190  version of each symbol (16 bit)
//	0x1A0  version definitions: 1 (base), 2 LINUX_2.6
//	0x200  strings
const (
	vdsoDynamic  = 0x0B0
	vdsoSymbols  = 0x140
	vdsoHash     = 0x170
	vdsoVersions = 0x190
	vdsoVerdef   = 0x1A0
	vdsoStrings  = 0x200

	vdsoText    = "\x00__vdso_clock_gettime\x00LINUX_2.6\x00linux-vdso.so.1\x00"
	nameClock   = 1
	nameVersion = nameClock + len("__vdso_clock_gettime") + 1
	nameSelf    = nameVersion + len("LINUX_2.6") + 1
)

var vdsoPage uintptr

// makeVDSO writes the image into a page of its own.
func makeVDSO() {
	mem.lock()
	p := allocZeroPage()
	mem.unlock()
	b := direct(p)
	vdsoPage = b
	_, _, _, clock := trapAddresses()

	put16 := func(off uintptr, v uint16) { *at[uint16](b + off) = v }
	put32 := func(off uintptr, v uint32) { *at[uint32](b + off) = v }
	put64 := func(off uintptr, v uint64) { *at[uint64](b + off) = v }

	put32(0, 0x464C457F) // \x7fELF
	put32(4, 0x00010102) // 64-bit, little-endian, version 1
	put16(16, 3)         // ET_DYN
	put16(18, 62)        // x86-64
	put32(20, 1)
	put64(32, 0x40) // program headers
	put16(52, 64)
	put16(54, 56)
	put16(56, 2)

	// PT_LOAD: offset, vaddr 0, so that addresses in here are offsets.
	put32(0x40, 1)
	put32(0x44, 5)
	put64(0x60, pageSize)
	put64(0x68, pageSize)
	// PT_DYNAMIC
	put32(0x78, 2)
	put32(0x7C, 4)
	put64(0x80, vdsoDynamic)
	put64(0x88, vdsoDynamic)
	put64(0x98, 6*16)
	put64(0xA0, 6*16)

	for i, d := range [...][2]uint64{
		{5, vdsoStrings}, {6, vdsoSymbols}, {4, vdsoHash}, // STRTAB, SYMTAB, HASH
		{0x6FFFFFF0, vdsoVersions}, {0x6FFFFFFC, vdsoVerdef}, {0, 0}, // VERSYM, VERDEF
	} {
		put64(vdsoDynamic+uintptr(i)*16, d[0])
		put64(vdsoDynamic+uintptr(i)*16+8, d[1])
	}

	s := uintptr(vdsoSymbols + 24)
	put32(s, nameClock)
	put16(s+4, 0x12) // global function
	put16(s+6, 1)    // defined in section 1
	put64(s+8, uint64(clock-b))

	put32(vdsoHash, 1)
	put32(vdsoHash+4, 2)
	put32(vdsoHash+8, 1) // the bucket starts with symbol 1

	put16(vdsoVersions+2, 2)

	verdef := func(off uintptr, flags, ndx uint16, hash, name, next uint32) {
		put16(off, 1)
		put16(off+2, flags)
		put16(off+4, ndx)
		put16(off+6, 1)
		put32(off+8, hash)
		put32(off+12, 20)
		put32(off+16, next)
		put32(off+20, name)
	}
	verdef(vdsoVerdef, 1, 1, elfHash("linux-vdso.so.1"), uint32(nameSelf), 28)
	verdef(vdsoVerdef+28, 0, 2, elfHash("LINUX_2.6"), uint32(nameVersion), 0)

	for i := range uintptr(len(vdsoText)) {
		*at[byte](b + vdsoStrings + i) = vdsoText[i]
	}
}

// elfHash is the System V ABI's hash of symbol names.
func elfHash(s string) uint32 {
	h := uint32(0)
	for i := 0; i < len(s); i++ {
		h = h<<4 + uint32(s[i])
		if g := h & 0xF0000000; g != 0 {
			h ^= g >> 24
		}
		h &= 0x0FFFFFFF
	}
	return h
}
