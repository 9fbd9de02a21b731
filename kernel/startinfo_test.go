package kernel

import "testing"

// startInfo writes what PVH passes (xen/include/public/arch-x86/hvm/start_info.h)
// into a page, at the places where Firecracker and Cloud Hypervisor have it:
//
//	000  struct hvm_start_info, version 1
//	040  modules
//	400  command line
//	800  memory map
func startInfo(page uintptr, line string, rsdp uint64, modules []bootModule, memory []mapEntry) uint64 {
	const modulesAt, lineAt, mapAt = 0x40, 0x400, 0x800
	put32 := func(off uintptr, v uint32) { *at[uint32](page + off) = v }
	put64 := func(off uintptr, v uint64) { *at[uint64](page + off) = v }
	put32(0, 0x336EC578)
	put32(4, 1)
	put32(12, uint32(len(modules)))
	if len(modules) > 0 {
		put64(16, uint64(page+modulesAt))
	}
	put64(24, uint64(page+lineAt))
	put64(32, rsdp)
	put64(40, uint64(page+mapAt))
	put32(48, uint32(len(memory)))
	for i, m := range modules {
		off := modulesAt + uintptr(i)*32
		put64(off, m.start)
		put64(off+8, m.size)
		put64(off+16, m.commandLine)
	}
	copy(bytesAt(page+lineAt, mapAt-lineAt), line+"\x00")
	for i, e := range memory {
		off := mapAt + uintptr(i)*24
		put64(off, e.start)
		put64(off+8, e.size)
		put32(off+16, e.kind)
	}
	return uint64(page)
}

func forgetStartInfo() {
	commandLineLen, moduleCount, mapCount, rsdp = 0, 0, 0, 0
}

// What Firecracker (without ACPI's root pointer, with a device area between two
// pieces of memory) and Cloud Hypervisor pass is read as they mean it.
func TestStartInfo(t *testing.T) {
	const mib = 1 << 20
	const ram, reserved = 1, 2
	for _, test := range []struct {
		name    string
		line    string
		rsdp    uint64
		modules []bootModule
		memory  []mapEntry
	}{
		{"firecracker", "panic=reboot virtio_mmio.device=4K@0xc0001000:5", 0,
			[]bootModule{{start: 100 * mib, size: 12345}},
			[]mapEntry{{0, 0x9FC00, ram}, {0x9FC00, 0xE0000 - 0x9FC00, reserved}, {0xEEC00000, 256 * mib, reserved}, {mib, 3071 * mib, ram}, {4096 * mib, 1024 * mib, ram}}},
		{"cloud hypervisor", "", 0xA0000, nil,
			[]mapEntry{{0, 0xA0000, ram}, {mib, 511 * mib, ram}, {0xE8000000, 256 * mib, reserved}}},
	} {
		m := newTestMachine(t, 1024, 1)
		forgetStartInfo()
		t.Cleanup(forgetStartInfo)
		readStartInfo(startInfo(m.room(1), test.line, test.rsdp, test.modules, test.memory))
		if CommandLine() != test.line || rsdp != test.rsdp {
			t.Errorf("%s: command line %q, RSDP %#x", test.name, CommandLine(), rsdp)
		}
		if moduleCount != len(test.modules) || moduleCount > 0 && modules[0] != test.modules[0] {
			t.Errorf("%s: modules %+v", test.name, modules[:moduleCount])
		}
		if mapCount != len(test.memory) {
			t.Fatalf("%s: %d pieces of memory", test.name, mapCount)
		}
		for i, e := range test.memory {
			if memoryMap[i] != e {
				t.Errorf("%s: %+v, want %+v", test.name, memoryMap[i], e)
			}
			if end := e.start + e.size; !isMapped(end-8, 8) || e.kind == ram && !overlapsMemory(e.start, 1) {
				t.Errorf("%s: %+v is not taken for memory", test.name, e)
			}
		}
		if overlapsMemory(0xC0001000, 4096) {
			t.Errorf("%s: devices are taken for memory", test.name)
		}
	}
}
