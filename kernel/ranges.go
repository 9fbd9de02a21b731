package kernel

import (
	"runtime"
	"unsafe"
)

// Range is a mapping of the address space.
type Range struct {
	Start, End uintptr
	Prot       int  // PROT_READ, PROT_WRITE, PROT_EXEC
	Image      bool // a part of the program's image
}

// Ranges lists what is mapped, by address. What changes meanwhile may be missing.
func Ranges() (list []Range) {
	if !booted {
		return nil
	}
	segments, count := readSegments()
	r := new(rangeRequest)
	for trap(callNextRange, r.v.end, uintptr(unsafe.Pointer(r)), 0, 0, 0) == 0 {
		v := &r.v
		switch {
		case v.fixed && v.start == 0: // no program may touch it
		case v.fixed && v.start == segments[0].start:
			list = appendSegments(list, segments[:count], v.end)
		default:
			list = append(list, Range{Start: v.start, End: v.end, Prot: int(v.prot)})
		}
	}
	runtime.KeepAlive(r)
	return list
}

// appendSegments lists the image's segments up to where its fixed mapping ends.
func appendSegments(list []Range, segments []segment, end uintptr) []Range {
	for _, s := range segments {
		r := Range{Start: s.start, End: min(s.end, end), Prot: protRead, Image: true}
		if s.flags&pteWrite != 0 {
			r.Prot |= protWrite
		}
		if s.flags&pteNX == 0 {
			r.Prot |= protExec
		}
		if r.Start < r.End {
			list = append(list, r)
		}
	}
	return list
}

// rangeRequest is where callNextRange puts its answer.
type rangeRequest struct{ v vma }

// nextRange gives the first mapping that ends after va; ENOENT if there is none.
func nextRange(va, p uintptr) uintptr {
	if !accessible(p, unsafe.Sizeof(rangeRequest{}), true) {
		return errFAULT
	}
	mem.lock()
	i := findVMA(va)
	found := i < vmaCount
	var v vma
	if found {
		v = *vmaAt(i)
	}
	mem.unlock()
	if !found {
		return errNOENT
	}
	at[rangeRequest](p).v = v
	return 0
}
