package main

import (
	"fmt"
	"runtime"
	"runtime/metrics"

	"github.com/tuplix/tuplix/kernel"
)

// heapGoal checks that a small heap is let grow to a sixteenth of the memory, to
// Go's own 4 MiB at least and to 64 MiB at most.
func heapGoal() (string, error) {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(sample)
	goal := sample[0].Value.Uint64()
	want := min(max(kernel.ReadStats().MemoryTotal/16, 4<<20), 64<<20)
	if goal < want {
		return "", fmt.Errorf("collections at %d bytes, expected %d", goal, want)
	}
	return fmt.Sprintf("%d KiB", goal>>10), nil
}
