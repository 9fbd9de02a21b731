// Command early looks for the system in its init function. Its module's path,
// and that of its package a.b, sort before the system's.
package main

import (
	"fmt"
	"os"

	ab "aaa.example/x.y/a.b"
)

var version = "none"

var system = os.Getenv("SYSTEM")

func main() {
	fmt.Printf("main=%q library=%q version=%s\n", system, ab.System, version)
}
