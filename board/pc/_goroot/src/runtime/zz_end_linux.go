// This file is added to package runtime when an image is built: a program that
// dies of a panic, or of a fatal error that is its own fault (two goroutines that
// write one map), saves its files first, as one that ends does. The two functions
// take the place of those of the same names, which keep a copy under the names
// that start with trap. Errors of the runtime itself (throw) save nothing: what
// they leave in memory is not to be trusted, and locks may be held.

package runtime

import _ "unsafe" // for linkname

// kernelDying saves the files, within bounds of time; nil until there are any.
//
//go:linkname kernelDying github.com/tuplix/tuplix/kernel.dying
var kernelDying func()

// preprintpanics is called by a goroutine that nobody recovers, the last time
// that code of the program may run: thereafter the scheduler stands still.
func preprintpanics(p *_panic) {
	trapPreprintpanics(p)
	if kernelDying != nil {
		kernelDying()
	}
}

//go:nosplit
func fatal(s string) {
	if gp := getg(); kernelDying != nil && gp == gp.m.curg && gp.m.locks == 0 && gp.m.mallocing == 0 {
		kernelDying()
	}
	trapFatal(s)
}
