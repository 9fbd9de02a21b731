// Dies is the program with which package qemu tests what is left of the files of
// a program that fails. It is an ordinary program that uses package os. Its first
// argument says how it is to fail; "read" prints what was left.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
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
	"crash":     func() { debug.SetTraceback("crash"); panic("on purpose") },
	"term":      func() { send(syscall.SIGTERM) },
	"kill":      func() { send(syscall.SIGKILL) },
	"quit":      func() { send(syscall.SIGQUIT) },
	"segv":      func() { send(syscall.SIGSEGV) },
	"thread":    killThread,
	"reset":     wantedAndReset,
	"pipe":      writeToNobody,
}

// send sends this process a signal that ends it.
func send(s os.Signal) {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Signal(s)
	}
	fmt.Println("still alive:", err)
	os.Exit(97)
}

// killThread has a thread get a signal while main returns.
func killThread() {
	syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(os.Getpid()), uintptr(syscall.Gettid()), uintptr(syscall.SIGHUP))
}

// wantedAndReset is ended by a signal only when it no longer asks for it, and not by
// those that end nobody.
func wantedAndReset() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGTSTP, syscall.SIGSTOP, syscall.SIGUSR1} {
		if err := syscall.Kill(os.Getpid(), s); err != nil {
			fmt.Println(err)
			os.Exit(96)
		}
	}
	fmt.Println("got", <-signals)
	signal.Reset(syscall.SIGTERM)
	send(syscall.SIGTERM)
}

// writeToNobody writes to a standard output whose other end is closed.
func writeToNobody() {
	var p [2]int
	err := syscall.Pipe(p[:])
	if err == nil {
		err = syscall.Dup2(p[1], 1)
	}
	if err == nil {
		err = syscall.Close(p[0])
	}
	if err == nil {
		_, err = os.Stdout.WriteString("to nobody")
	}
	fmt.Fprintln(os.Stderr, "still alive:", err)
	os.Exit(97)
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
