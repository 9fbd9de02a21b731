// This file is added to package runtime when an image is built: the names of
// functions, for the report of a kernel that fails.

package runtime

import _ "unsafe" // for linkname

// kernelFunctionAt names the function that pc lies in and where that begins; "" if
// none does. Calls that the compiler has put into it belong to it: FuncForPC would
// tell them apart, but needs a thread's cache, and memory.
//
//go:linkname kernelFunctionAt github.com/tuplix/tuplix/kernel.functionAt
var kernelFunctionAt func(pc uintptr) (name string, entry uintptr)

func init() {
	kernelFunctionAt = func(pc uintptr) (string, uintptr) {
		f := findfunc(pc)
		if !f.valid() {
			return "", 0
		}
		return funcname(f), f.entry()
	}
}
