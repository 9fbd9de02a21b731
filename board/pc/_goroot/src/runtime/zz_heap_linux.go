// This file is added to package runtime when an image is built: how far the heap
// may grow before it is collected.
//
// Stock Go collects at 4 MiB, however little of that is live. A program that is
// alone on its machine can have more, and a small server gains much by it: each
// collection also shrinks the stacks of goroutines that wait, which grow again
// with the next request, since a system call is a function of some depth here.

package runtime

import _ "unsafe" // for linkname

// kernelPages is the machine's memory in pages of 4 KiB; 0 in a Linux process.
//
//go:linkname kernelPages github.com/tuplix/tuplix/kernel.pagesTotal
var kernelPages uint64

// A heap of up to 1/heapShare of the memory, and not more than heapMost bytes, is
// not collected.
const (
	heapShare = 16
	heapMost  = 64 << 20
)

func init() {
	systemstack(func() {
		lock(&mheap_.lock)
		gcController.raiseMinimum(min(kernelPages*4096/heapShare, heapMost))
		unlock(&mheap_.lock)
	})
}

// raiseMinimum does nothing if GOGC says something else than usual. A call of
// debug.SetGCPercent undoes it.
func (c *gcControllerState) raiseMinimum(bytes uint64) {
	if c.gcPercent.Load() == 100 && bytes > c.heapMinimum {
		c.heapMinimum = bytes
		gcControllerCommit()
	}
}
