package user

import (
	"context"
	"runtime/pprof"
	"sync"
	"unsafe"
)

// running has the callers of goroutines, by the labels that the goroutine has and
// hands on to those that it starts.
var running sync.Map // unsafe.Pointer of a set of labels -> Caller

// goroutineLabels are the labels of the goroutine that calls. The runtime keeps this
// name for whoever needs them without a context; nothing is read through the pointer.
//
//go:linkname goroutineLabels runtime/pprof.runtime_getProfLabel
func goroutineLabels() unsafe.Pointer

// Do runs f for a caller: on this goroutine and all that it starts, OfGoroutine
// returns c until Do returns. So do what has no context, such as the calls on
// sockets, know who makes them. The labels "program" and "task" are set, too, and
// show in profiles; f must not replace them.
func Do(ctx context.Context, c Caller, f func(ctx context.Context)) {
	pprof.Do(With(ctx, c), pprof.Labels("program", c.Program, "task", c.Task), func(ctx context.Context) {
		key := goroutineLabels()
		running.Store(key, c)
		defer running.Delete(key)
		f(ctx)
	})
}

// OfGoroutine returns the caller for whom this goroutine runs, by Do; ok is false
// where it was started by none.
func OfGoroutine() (c Caller, ok bool) {
	key := goroutineLabels()
	if key == nil {
		return Caller{}, false
	}
	if v, found := running.Load(key); found {
		return v.(Caller), true
	}
	return Caller{}, false
}
