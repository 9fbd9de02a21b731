package qemu

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
)

// TestDies: what a program wrote and did not sync is on the disk after it died of
// a panic, of a fatal error that is its own fault, or of a signal, and the exit
// status and the report are those that it has on Linux.
func TestDies(t *testing.T) {
	for _, test := range []struct {
		way, report string
		lost        bool // nothing is promised
		status      int  // 2 where it is 0
	}{
		{way: "panic", report: "panic: on purpose"},
		{way: "goroutine", report: "panic: on purpose"},
		{way: "nil", report: "invalid memory address or nil pointer dereference"},
		{way: "unlock", report: "fatal error: sync: unlock of unlocked mutex"},
		{way: "twice", report: "panic: "},
		{way: "locked", report: "fatal error: panic while printing panic value", lost: true},
		{way: "runtime", report: "stack overflow", lost: true},
		{way: "crash", report: "panic: on purpose", status: 128 + 6},
		{way: "term", status: 128 + 15},
		{way: "kill", status: 128 + 9},
		{way: "quit", report: "SIGQUIT: quit"},
		{way: "segv", report: "SIGSEGV: segmentation violation"},
		{way: "thread", status: 128 + 1},
		{way: "reset", status: 128 + 15},
		{way: "pipe", status: 128 + 13},
	} {
		for _, cpus := range []int{1, 2} {
			if test.lost && cpus > 1 {
				continue
			}
			t.Run(fmt.Sprintf("%s-%d", test.way, cpus), func(t *testing.T) {
				run := func(disk *Disk, arg string) guest {
					c := Config{CPUs: cpus, Memory: 256, Disk: disk}
					c.Network.None = true
					c.Line.Args = []string{arg}
					return boot(t, "qemu/testdata/dies", c)
				}
				disk := blankDisk(t, 128)
				g := run(disk, test.way)
				want := cmp.Or(test.status, 2)
				if status := g.status(t); status != want {
					t.Errorf("it ended with status %d, want %d", status, want)
				}
				if !strings.Contains(g.Text(), test.report) || strings.Contains(g.Text(), "goroutine ") != (test.report != "") {
					t.Errorf("the report has no %q", test.report)
				}
				g = run(disk, "read")
				left := g.expect(t, `^left: "(.*)" (.*?)\r?$`)
				if !test.lost && left[1] != test.way {
					t.Errorf("left of the file: %q (%s), want %q", left[1], left[2], test.way)
				}
			})
		}
	}
}
