package model

import (
	"errors"
	"sync"
	"unsafe"
)

var (
	errNoMemory = errors.New("model: out of memory")
	errNoDevice = errors.New("model: no device there")
)

// dma is all DMA memory of all machines; like the real one it is never freed.
var dma regions

type regions struct {
	mu   sync.RWMutex
	list [][]byte
}

func (r *regions) add(mem []byte) {
	r.mu.Lock()
	r.list = append(r.list, mem)
	r.mu.Unlock()
}

func (r *regions) contains(p uintptr) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, mem := range r.list {
		base := uintptr(unsafe.Pointer(&mem[0]))
		if p >= base && p < base+uintptr(len(mem)) {
			return true
		}
	}
	return false
}
