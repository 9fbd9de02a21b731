package linux

import (
	"syscall"
	"unsafe"
)

// All programs and the services share one address space, so a pointer
// argument is simply dereferenced. What Linux would answer with EFAULT for
// addresses that are not mapped is a Go panic here, except in the first page
// (a nil pointer, or a field of one), which is looked for. The functions
// take a pointer to the argument word and reinterpret it, because go vet
// rightly distrusts conversions from uintptr.

const (
	pageSize = 4096

	// PathMax bounds a path with its terminating zero (PATH_MAX).
	PathMax = 4096

	// maxTransfer is the most that one read or write moves, as on Linux.
	maxTransfer = 0x7ffff000

	// maxVectors is IOV_MAX.
	maxVectors = 1024
)

// pointer reinterprets the argument word. nil for the first page.
func pointer(word *uintptr) unsafe.Pointer {
	if *word < pageSize {
		return nil
	}
	return *(*unsafe.Pointer)(unsafe.Pointer(word))
}

// buffer is the n bytes at the address in word; EFAULT for a nil pointer
// unless n is 0. More than one call may move is cut off.
func buffer(word *uintptr, n uintptr) ([]byte, syscall.Errno) {
	if int(n) < 0 {
		return nil, syscall.EINVAL
	}
	if n == 0 {
		return nil, 0
	}
	p := pointer(word)
	if p == nil || *word+n < *word {
		return nil, syscall.EFAULT
	}
	return unsafe.Slice((*byte)(p), min(n, maxTransfer)), 0
}

// object is the T at the address in word; EFAULT for a nil pointer.
func object[T any](word *uintptr) (*T, syscall.Errno) {
	p := pointer(word)
	if p == nil {
		return nil, syscall.EFAULT
	}
	return (*T)(p), 0
}

// array is the n values of T at the address in word, where the caller has
// bounded n.
func array[T any](word *uintptr, n int) ([]T, syscall.Errno) {
	if n == 0 {
		return nil, 0
	}
	p := pointer(word)
	if p == nil {
		return nil, syscall.EFAULT
	}
	return unsafe.Slice((*T)(p), n), 0
}

// cString is the zero-terminated string at the address in word. It is a view
// of the caller's memory, valid only during the call: clone what is kept.
func cString(word *uintptr) (string, syscall.Errno) {
	p := pointer(word)
	if p == nil {
		return "", syscall.EFAULT
	}
	for n := range PathMax {
		if *(*byte)(unsafe.Add(p, n)) == 0 {
			return unsafe.String((*byte)(p), n), 0
		}
	}
	return "", syscall.ENAMETOOLONG
}

// vectors is the checked iovec array at the address in word. The buffers
// themselves are made by vector.
func vectors(word *uintptr, n uintptr) ([]syscall.Iovec, syscall.Errno) {
	if n > maxVectors {
		return nil, syscall.EINVAL
	}
	list, e := array[syscall.Iovec](word, int(n))
	if e != 0 {
		return nil, e
	}
	total := uint64(0)
	for i := range list {
		if int64(list[i].Len) < 0 {
			return nil, syscall.EINVAL
		}
		if list[i].Len > 0 && uintptr(unsafe.Pointer(list[i].Base)) < pageSize {
			return nil, syscall.EFAULT
		}
		if total += list[i].Len; int64(total) < 0 {
			return nil, syscall.EINVAL
		}
	}
	return list, 0
}

// vector is the memory that one checked iovec describes.
func vector(v *syscall.Iovec) []byte {
	return unsafe.Slice(v.Base, min(v.Len, maxTransfer))
}
