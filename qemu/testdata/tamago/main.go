// Command tamago links all of TamaGo's amd64 packages with the board that a
// build tag names, beside the system, and holds TamaGo's list of the PCI bus
// against ours. It ends with status 7 if all is well.
package main

import (
	"fmt"
	"os"
	"runtime/goos"

	_ "github.com/tuplix/tuplix/board/tamago"
)

func main() {
	fmt.Println("linked", link())
	for _, check := range []func() error{checkContract, compare} {
		if err := check(); err != nil {
			fmt.Println("FAILED:", err)
			os.Exit(1)
		}
	}
	goos.Exit(7)
}
