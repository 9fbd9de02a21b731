package image

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// loaded is what a loader makes of an image.
type loaded struct {
	segments []elf.ProgHeader
	entry    uint64
}

// loadLikeRustVMM does what Firecracker and Cloud Hypervisor do with a kernel
// (rust-vmm's linux-loader, src/loader/elf/mod.rs): segments go to their physical
// addresses, and each PT_NOTE that comes later replaces what an earlier one said,
// also by saying nothing.
func loadLikeRustVMM(data []byte) (l loaded, err error) {
	const highMemory = 1 << 20 // below it are the loader's own tables
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return l, err
	}
	le := binary.LittleEndian
	if le.Uint16(data[ehPhentsize:]) != phSize || le.Uint64(data[ehPhoff:]) < ehSize || f.Entry < highMemory {
		return l, fmt.Errorf("header %+v", f.FileHeader)
	}
	for _, p := range f.Progs {
		switch {
		case p.Type == elf.PT_LOAD && p.Filesz != 0:
			if p.Paddr < highMemory || p.Off+p.Filesz > uint64(len(data)) {
				return l, fmt.Errorf("segment %+v", p.ProgHeader)
			}
			l.segments = append(l.segments, p.ProgHeader)
		case p.Type == elf.PT_NOTE:
			if l.entry, err = findEntry(data[p.Off : p.Off+p.Filesz]); err != nil {
				return l, err
			}
		}
	}
	if l.entry == 0 {
		return l, fmt.Errorf("no PVH entry")
	}
	return l, nil
}

// findEntry looks through the notes of a segment: name and content begin at
// multiples of four bytes.
func findEntry(notes []byte) (uint64, error) {
	le := binary.LittleEndian
	up := func(n uint32) int { return int(n+3) &^ 3 }
	for len(notes) > 0 {
		if len(notes) < 12 {
			return 0, fmt.Errorf("a note of %d bytes", len(notes))
		}
		name, content, kind := le.Uint32(notes), le.Uint32(notes[4:]), le.Uint32(notes[8:])
		notes = notes[12:]
		if len(notes) < up(name)+up(content) {
			return 0, fmt.Errorf("a note that ends behind its segment")
		}
		if kind == notePhysEntry && string(notes[:name]) == "Xen\x00" {
			if content < 4 {
				return 0, fmt.Errorf("an entry of %d bytes", content)
			}
			return uint64(le.Uint32(notes[up(name):])), nil
		}
		notes = notes[up(name)+up(content):]
	}
	return 0, nil
}

// TestLoaders: Firecracker and Cloud Hypervisor find in both kinds of images what
// they need, and have room for it.
func TestLoaders(t *testing.T) {
	useStandIn(t)
	for _, plain := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "image")
		if err := Build(context.Background(), Options{Dir: "testdata/early", Output: path, Plain: plain}); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		l, err := loadLikeRustVMM(data)
		if err != nil {
			t.Fatalf("plain %v: %v", plain, err)
		}
		inside := false
		for i, s := range l.segments {
			const gap = 0xC000_0000 // devices are from here on, whatever memory there is
			if s.Paddr+s.Memsz > gap || s.Align != 2<<20 {
				t.Errorf("plain %v: segment %+v", plain, s)
			}
			for _, o := range l.segments[:i] {
				if s.Paddr < o.Paddr+o.Memsz && o.Paddr < s.Paddr+s.Memsz {
					t.Errorf("plain %v: segments overlap: %+v, %+v", plain, o, s)
				}
			}
			inside = inside || l.entry >= s.Paddr && l.entry < s.Paddr+s.Filesz && s.Flags&elf.PF_X != 0
		}
		if !inside {
			t.Errorf("plain %v: the entry %#x is in no code that is loaded", plain, l.entry)
		}
	}
}

// The loader above does refuse images.
func TestLoadersRefuse(t *testing.T) {
	useStandIn(t)
	path := filepath.Join(t.TempDir(), "image")
	if err := Build(context.Background(), Options{Dir: "testdata/early", Output: path}); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	note := len(good) - noteSize
	for name, damage := range map[string]func(b []byte){
		"entry below 1 MiB":   func(b []byte) { le.PutUint64(b[24:], 0x1000) },
		"segment below 1 MiB": func(b []byte) { le.PutUint64(b[ehSize+24:], 0x1000) },
		"another note":        func(b []byte) { le.PutUint32(b[note+8:], 3) },
		"another name":        func(b []byte) { b[note+12] = 'x' },
		"short entry":         func(b []byte) { le.PutUint32(b[note+4:], 2) },
	} {
		bad := bytes.Clone(good)
		damage(bad)
		if _, err := loadLikeRustVMM(bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
