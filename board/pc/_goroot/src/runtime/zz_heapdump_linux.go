// This file is added to package runtime when an image is built: a heap dump, which
// is made while the world stands still, is kept outside of the heap until the world
// goes on, since it takes goroutines to write a file. The functions take the place
// of those of the same names, which keep a copy under the names that start with
// trap.

package runtime

import "unsafe"

// heapDump is what was dumped, in pieces:
//
//	 0  address of the next piece, 0 in the last
//	 8  bytes that this one holds
//	16  those bytes
//	    dumpPiece in all
var heapDump struct {
	lock    mutex              // guards busy
	busy    bool               // somebody dumps
	keeping bool               // the dump goes into pieces
	lacking bool               // there was no memory for all of it, and so nothing is kept
	spare   [dumpSpare]uintptr // memory for those who write it
	first   uintptr
	last    uintptr
}

const (
	dumpPiece = 1 << 20 // the most that the kernel makes resident at once
	dumpSpare = 8
	dumpHead  = 16
	sysWrite  = 1
)

func runtime_debug_WriteHeapDump(fd uintptr) {
	if kernelGate == nil {
		trapWriteHeapDump(fd)
		return
	}
	for !takeHeapDump() {
		Gosched()
	}
	for i := range heapDump.spare {
		heapDump.spare[i] = newPiece()
	}
	trapWriteHeapDump(fd)
	for _, p := range heapDump.spare {
		freePiece(p)
	}
	if heapDump.lacking {
		print("runtime: too little memory for a heap dump, which needs as much as it dumps\n")
	}
	whole := true
	for p := heapDump.first; p != 0; {
		next := *dumpWord(p)
		whole = whole && writeDump(fd, p+dumpHead, *dumpWord(p + 8))
		freePiece(p)
		p = next
	}
	lock(&heapDump.lock)
	heapDump.busy, heapDump.keeping = false, false
	unlock(&heapDump.lock)
}

// takeHeapDump reports false while somebody else dumps.
func takeHeapDump() bool {
	lock(&heapDump.lock)
	defer unlock(&heapDump.lock)
	if heapDump.busy {
		return false
	}
	heapDump.busy, heapDump.keeping, heapDump.lacking = true, true, false
	heapDump.first, heapDump.last = 0, 0
	return true
}

// dumpWord is a word of a piece, which the collector does not know.
func dumpWord(p uintptr) *uintptr { return (*uintptr)(unsafe.Pointer(p)) }

// dwrite takes what the dump consists of.
func dwrite(data unsafe.Pointer, n uintptr) {
	if !heapDump.keeping {
		trapDwrite(data, n)
		return
	}
	for n > 0 && dumpRoom() {
		have := dumpWord(heapDump.last + 8)
		part := min(n, dumpPiece-dumpHead-*have)
		memmove(unsafe.Pointer(heapDump.last+dumpHead+*have), data, part)
		*have += part
		data = add(data, part)
		n -= part
	}
}

// flush is called at the end of a dump.
func flush() {
	if !heapDump.keeping {
		trapFlush()
	}
}

// newPiece returns resident memory of dumpPiece zeros, 0 if there is none.
func newPiece() uintptr {
	const populate = 0x8000
	if heapDump.lacking {
		return 0
	}
	p, e := mmap(nil, dumpPiece, _PROT_READ|_PROT_WRITE, _MAP_ANON|_MAP_PRIVATE|populate, -1, 0)
	if e != 0 {
		heapDump.lacking = true
		return 0
	}
	return uintptr(p)
}

func freePiece(p uintptr) {
	if p != 0 {
		munmap(unsafe.Pointer(p), dumpPiece)
	}
}

// dumpRoom sees to it that the last piece has room. Where there is no memory for
// it, it drops all pieces and reports false: part of a dump is of no use.
func dumpRoom() bool {
	if heapDump.last != 0 && *dumpWord(heapDump.last + 8) < dumpPiece-dumpHead {
		return true
	}
	p := newPiece()
	if p == 0 {
		for q := heapDump.first; q != 0; {
			next := *dumpWord(q)
			freePiece(q)
			q = next
		}
		heapDump.first, heapDump.last = 0, 0
		return false
	}
	if heapDump.last == 0 {
		heapDump.first = p
	} else {
		*dumpWord(heapDump.last) = p
	}
	heapDump.last = p
	return true
}

// writeDump writes n bytes at p, and reports whether all of them were taken.
func writeDump(fd, p, n uintptr) bool {
	for n > 0 {
		r, taken := kernelGate(sysWrite, fd, p, n, 0, 0, 0)
		if !taken {
			r = uintptr(write1(fd, unsafe.Pointer(p), int32(n)))
		}
		if r == 0 || r > n {
			return false
		}
		p += r
		n -= r
	}
	return true
}
