// Metal is the program with which package qemu tests the kernel: it runs on
// the bare machine, and checks there what a program may expect of Linux and
// what the kernel promises beyond. Its arguments name the checks; without any
// it runs all that end well.
package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuplix/tuplix/kernel"
)

// A check returns what there is to report, or an error.
type check struct {
	name string
	run  func() (string, error)
}

var checks = []check{
	{"faults", faults},
	{"preempt", preempt},
	{"lock", lockThread},
	{"threads", manyThreads},
	{"clock", clock},
	{"signals", signals},
	{"profile", profile},
	{"free", freeMemory},
	{"all-threads", allThreads},
	{"heap-dump", heapDump},
	{"heap-goal", heapGoal},
	{"vector", vectors},
	{"timers", timers},
	{"pace", pace},
	{"wall", wall},
	{"apic", localAPIC},
	{"latency", latency},
	{"interrupts", interrupts},
	{"calls", hotCalls},
}

// ends are the checks after which the machine is no more.
var ends = map[string]func(argument string){
	"overflow": func(string) { overflow() },
	"memory":   func(string) { exhaust() },
	"panic":    func(string) { panic("on purpose") },
	"exit":     func(a string) { os.Exit(number(a)) },
	"stress":   func(a string) { os.Exit(stress(time.Duration(number(a)) * time.Millisecond)) },
	"high":     func(string) { os.Exit(high()) },
	"features": func(string) { fmt.Printf("x2APIC %v\n", features()&hasX2APIC != 0) },
	"stay":     stay,
	"stats":    func(string) { fmt.Printf("%+v\n", kernel.ReadStats()) },
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		fmt.Println(err)
		os.Exit(99)
	}
	return n
}

func main() {
	if !kernel.Booted() {
		fmt.Println("this is for the bare machine")
		os.Exit(98)
	}
	wanted := os.Args[1:]
	if len(wanted) == 1 {
		name, argument, _ := strings.Cut(wanted[0], ":")
		if end, ok := ends[name]; ok {
			end(argument)
			return
		}
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(checks, func(c check) bool { return c.name == name }) {
			fmt.Println("no check", name)
			os.Exit(97)
		}
	}
	failed := 0
	for _, c := range checks {
		if len(wanted) > 0 && !slices.Contains(wanted, c.name) {
			continue
		}
		start := time.Now()
		report, err := c.run()
		if err != nil {
			failed++
			fmt.Printf("FAIL %s: %v\n", c.name, err)
			continue
		}
		fmt.Printf("ok %s in %d ms: %s\n", c.name, time.Since(start).Milliseconds(), report)
	}
	fmt.Printf("%d failed; %+v\n", failed, kernel.ReadStats())
	os.Exit(min(failed, 90))
}
