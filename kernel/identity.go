package kernel

import "syscall"

// AllocIdentity is AllocDMA for hardware packages that know one kind of address
// only: the n bytes (rounded up to pages) are mapped, cacheable, at the virtual
// address that equals the physical one. They are never freed. ENOMEM when no
// piece of memory is both free and at addresses that nothing is mapped at.
func AllocIdentity(n int) (address uint64, err error) {
	if n <= 0 {
		return 0, syscall.EINVAL
	}
	p, err := result(trap(callAllocIdentity, uintptr(n), 0, 0, 0, 0))
	return uint64(p), err
}

// takeVacant returns size bytes in a row, from the front of a region, whose
// addresses no mapping of the program has; 0 when there are none. mem is held.
func takeVacant(size uint64) uint64 {
	for i := regionCount - 1; i >= 0; i-- {
		r := &regions[i]
		if r.end-r.start < size || !vacant(uintptr(r.start), uintptr(size)) {
			continue
		}
		p := r.start
		r.start += size
		pagesFree.Add(-(size / pageSize))
		return p
	}
	return 0
}

// vacant tells whether the n bytes at va are the program's to map, and nothing
// is there. mem is held.
func vacant(va, n uintptr) bool {
	if va < pageSize || va+n < va || va+n > userEnd {
		return false
	}
	i := findVMA(va)
	return i == vmaCount || vmaAt(i).start >= va+n
}
