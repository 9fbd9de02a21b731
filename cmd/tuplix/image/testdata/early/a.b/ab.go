// Package ab is initialised before package main.
package ab

import "os"

// System is what the system's init function had set by then.
var System = os.Getenv("SYSTEM")
