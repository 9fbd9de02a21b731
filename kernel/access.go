package kernel

// Memory of the program, as system calls reach it. A call that touches it at once
// asks accessible first. That does not bind the other threads: a program that
// unmaps what it passes while a call writes there is broken in its one address
// space anyhow, and may end in a panic of the kernel. A call that waits asks again
// when it goes on, and a futex, whose memory may be gone for good reasons, is read
// by fetch32.

// accessible makes [p, p+n) resident and tells whether that was possible.
func accessible(p, n uintptr, write bool) bool {
	if n == 0 {
		return true
	}
	if p < pageSize || p+n < p || p+n > userEnd {
		return false
	}
	for va := p &^ (pageSize - 1); va < p+n; va += pageSize {
		e := entry(va, false)
		if e != nil && *e&ptePresent != 0 && (!write || *e&pteWrite != 0) {
			continue
		}
		if !resolve(va, write, false) {
			return false
		}
	}
	return true
}

// fetch32 reads a word of the program, aligned; false where it has none. mem is
// not held.
func fetch32(va uintptr) (v uint32, ok bool) {
	if !accessible(va, 4, false) {
		return 0, false
	}
	// By the linear map, nothing can fault. A page that is unmapped from now on
	// gives any value.
	phys, ok := translate(va)
	if !ok {
		return 0, false
	}
	return load32(direct(phys)), true
}
