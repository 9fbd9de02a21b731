package figure

import (
	"slices"
	"sync"
)

// Value is one figure as it is now.
type Value struct {
	Name    string // as Prometheus names them: kernel_calls_total; times are in seconds, sizes in bytes
	Doc     string // one sentence
	Counter bool   // it only grows, from zero at the start; else it goes up and down
	Now     float64

	// Label and Of tell figures of one name apart, as device and eth0. Both may be empty.
	Label, Of string
}

// Number is what figures are made of.
type Number interface {
	~int | ~int64 | ~uint32 | ~uint64 | ~float64
}

// Counter is a figure that only grows, from zero at the start.
func Counter[N Number](name, doc string, now N) Value {
	return Value{Name: name, Doc: doc, Counter: true, Now: float64(now)}
}

// Gauge is a figure that goes up and down.
func Gauge[N Number](name, doc string, now N) Value {
	return Value{Name: name, Doc: doc, Now: float64(now)}
}

// With returns the figure with a label.
func (v Value) With(label, of string) Value {
	v.Label, v.Of = label, of
	return v
}

// Source lists figures, always the same ones but for their labels. It may be called by
// several goroutines at once, and does not wait for devices.
type Source func() []Value

var provided struct {
	mu   sync.Mutex
	list []Source
}

// Provide adds a source of the machine that the program runs on. It is the board's to
// call.
func Provide(s Source) {
	provided.mu.Lock()
	defer provided.mu.Unlock()
	provided.list = append(provided.list, s)
}

// Provided returns the sources of the machine; none in a process of Linux.
func Provided() []Source {
	provided.mu.Lock()
	defer provided.mu.Unlock()
	return slices.Clone(provided.list)
}
