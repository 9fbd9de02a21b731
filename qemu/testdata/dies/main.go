// Dies is the program with which package qemu tests what is left of the files of
// a program that fails. It is an ordinary program that uses package os. Its first
// argument says how it is to fail; "read" prints what was left.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"sync"
)

const name = "/written"

var ways = map[string]func(){
	"panic":     func() { panic("on purpose") },
	"goroutine": func() { go panic("on purpose"); select {} },
	"nil":       func() { fmt.Println(*nowhere) },
	"unlock":    func() { new(sync.Mutex).Unlock() },
	"twice":     func() { go panic("one"); panic("two") },
	"locked":    func() { panic(stuck{}) },
	"runtime":   exhaustStack,
}

var nowhere *int

// stuck is a panic's value that panics itself.
type stuck struct{}

func (stuck) Error() string { panic("no text either") }

// exhaustStack ends in an error of the runtime's own.
func exhaustStack() {
	debug.SetMaxStack(1 << 20)
	var deep func(n int) int
	deep = func(n int) int { return deep(n+1) + n }
	fmt.Println(deep(0))
}

func main() {
	if len(os.Args) != 2 {
		os.Exit(99)
	}
	if os.Args[1] == "read" {
		text, err := os.ReadFile(name)
		fmt.Printf("left: %q %v\n", text, err)
		return
	}
	// Neither synced nor closed.
	f, err := os.Create(name)
	if err == nil {
		_, err = f.WriteString(os.Args[1])
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(98)
	}
	ways[os.Args[1]]()
}
