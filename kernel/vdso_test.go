package kernel

import (
	"bytes"
	"debug/elf"
	"testing"
)

// TestVDSO reads the image as package debug/elf does, and then looks the clock
// up as the Go runtime does (runtime/vdso_linux.go): dynamic section, hash
// table, name, version.
func TestVDSO(t *testing.T) {
	newTestMachine(t, 1024, 1)
	makeVDSO()
	page := bytesAt(vdsoPage, pageSize)
	f, err := elf.NewFile(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != elf.ET_DYN || f.Machine != elf.EM_X86_64 || len(f.Progs) != 2 {
		t.Errorf("header: %+v", f.FileHeader)
	}
	if p := f.Progs[0]; p.Type != elf.PT_LOAD || p.Off != 0 || p.Vaddr != 0 || p.Memsz != pageSize {
		t.Errorf("first segment: %+v", p.ProgHeader)
	}
	d := f.Progs[1]
	if d.Type != elf.PT_DYNAMIC {
		t.Errorf("second segment: %+v", d.ProgHeader)
	}
	tag := map[elf.DynTag]uintptr{}
	for off := d.Off; off < d.Off+d.Filesz; off += 16 {
		tag[elf.DynTag(f.ByteOrder.Uint64(page[off:]))] = uintptr(f.ByteOrder.Uint64(page[off+8:]))
	}
	if _, ended := tag[elf.DT_NULL]; !ended {
		t.Error("the dynamic section does not end")
	}
	u16 := func(off uintptr) uint16 { return f.ByteOrder.Uint16(page[off:]) }
	u32 := func(off uintptr) uint32 { return f.ByteOrder.Uint32(page[off:]) }
	name := func(off uint32) string {
		b := page[tag[elf.DT_STRTAB]+uintptr(off):]
		return string(b[:bytes.IndexByte(b, 0)])
	}

	const versionHash, symbolHash = 0x3ae75f6, 0xd35ec75 // the runtime's constants
	version := uint16(0)
	for def := tag[elf.DT_VERDEF]; ; def += uintptr(u32(def + 16)) {
		const base = 1
		if u16(def+2)&base == 0 && u32(def+8) == versionHash && name(u32(def+uintptr(u32(def+12)))) == "LINUX_2.6" {
			version = u16(def+4) & 0x7FFF
		}
		if u32(def+16) == 0 {
			break
		}
	}
	if version == 0 {
		t.Fatal("version LINUX_2.6 is not defined")
	}
	hash := tag[elf.DT_HASH]
	buckets := u32(hash)
	found := uintptr(0)
	for i := u32(hash + 8 + uintptr(symbolHash%buckets)*4); i != 0; i = u32(hash + 8 + uintptr(buckets)*4 + uintptr(i)*4) {
		s := tag[elf.DT_SYMTAB] + uintptr(i)*24
		if elf.ST_TYPE(page[s+4]) == elf.STT_FUNC && elf.ST_BIND(page[s+4]) == elf.STB_GLOBAL && u16(s+6) != 0 &&
			name(u32(s)) == "__vdso_clock_gettime" && u16(tag[elf.DT_VERSYM]+uintptr(i)*2)&0x7FFF == version {
			found = uintptr(f.ByteOrder.Uint64(page[s+8:]))
		}
	}
	if _, _, _, clock := trapAddresses(); vdsoPage+found != clock {
		t.Errorf("the clock is found at %#x, and is at %#x", vdsoPage+found, clock)
	}
	if elfHash("LINUX_2.6") != versionHash || elfHash("__vdso_clock_gettime") != symbolHash {
		t.Error("the hash is not the System V ABI's")
	}
}
