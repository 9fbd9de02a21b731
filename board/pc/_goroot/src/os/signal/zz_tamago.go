// This file is added to package signal when an image is built: TamaGo's package
// amd64 brings interrupts to goroutines as signals, by the two functions here.
// Interrupts of an image are the kernel's; TamaGo's interrupt table is linked
// but not loaded.

package signal

import _ "unsafe" // for go:linkname

// Waiting tells whether the goroutine that hands signals to channels sleeps
// until the next one comes.
func Waiting() bool

// Relay hands a signal to the channels that Notify was told of, as if the
// process had got it. It must not be called in an interrupt, where no goroutine
// runs. Assembly of other packages refers to it.
//
//go:linkname Relay
func Relay(number int) { relay(uint32(number)) }

func relay(number uint32) bool
