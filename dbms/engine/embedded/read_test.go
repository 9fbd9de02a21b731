package embedded

import (
	"runtime"
	"testing"
)

// Readers that are gone are not kept track of: a store that runs for years makes new
// ones after each collection of garbage.
func TestReaderPoolForgets(t *testing.T) {
	var p readerPool
	held := new(reader)
	p.add(held)
	for range 20 {
		for range leastReaders {
			p.add(new(reader))
		}
		runtime.GC()
	}
	if n := len(p.all); n > 4*leastReaders {
		t.Errorf("%d readers are known, one is there", n)
	}
	held.begun.Store(7)
	if p.oldest() != 7 {
		t.Error("the one that is there is not")
	}
	runtime.KeepAlive(held)
}
