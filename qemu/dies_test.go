package qemu

import (
	"fmt"
	"strings"
	"testing"
)

// TestDies: what a program wrote and did not sync is on the disk after it died of
// a panic or of a fatal error that is its own fault, and the exit status and the
// report are Go's.
func TestDies(t *testing.T) {
	for _, test := range []struct {
		way, report string
		lost        bool // nothing is promised
	}{
		{way: "panic", report: "panic: on purpose"},
		{way: "goroutine", report: "panic: on purpose"},
		{way: "nil", report: "invalid memory address or nil pointer dereference"},
		{way: "unlock", report: "fatal error: sync: unlock of unlocked mutex"},
		{way: "twice", report: "panic: "},
		{way: "locked", report: "fatal error: panic while printing panic value", lost: true},
		{way: "runtime", report: "stack overflow", lost: true},
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
				if status := g.status(t); status != 2 {
					t.Errorf("it ended with status %d", status)
				}
				if !strings.Contains(g.Text(), test.report) || !strings.Contains(g.Text(), "goroutine ") {
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
