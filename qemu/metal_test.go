package qemu

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// metal is one boot of testdata/metal, the program that checks the kernel
// from within, and how it must end.
type metal struct {
	name   string
	args   []string
	config Config   // Memory 256 and 2 CPUs where it says nothing
	option string   // of the command line, NAME=VALUE
	status int      // the exit status
	expect []string // regular expressions that the console must match, in order
	lives  bool     // the machine does not end by itself once they have been seen
}

// metalDeadline ends a machine that hangs. The longest check takes 15 s on an
// idle host.
const metalDeadline = 90 * time.Second

// acpiOff leaves a microvm without ACPI, and so without a power switch: QEMU
// ends with the restart that the guest has in its place.
var acpiOff = []string{"-machine", "acpi=off", "-no-reboot"}

var metals = []metal{
	// Everything that ends well, alone and with company.
	{name: "checks", expect: []string{`\n0 failed`}},
	{name: "checks-1cpu", args: []string{"faults", "preempt", "lock", "profile", "vector", "timers", "apic", "latency", "interrupts", "all-threads", "heap-dump", "heap-goal", "calls"}, config: Config{CPUs: 1}, expect: []string{`\n0 failed`}},
	{name: "checks-64MB", args: []string{"faults", "lock", "free", "timers", "heap-goal"}, config: Config{Memory: 64, CPUs: 1}, expect: []string{`\n0 failed`}},
	{name: "checks-microvm", args: []string{"faults", "lock", "profile", "free", "timers", "apic"}, config: Config{Machine: MicroVM}, expect: []string{`\n0 failed`}},
	{name: "checks-microvm-no-acpi", args: []string{"faults", "lock", "timers"}, config: Config{Machine: MicroVM, Extra: acpiOff}, expect: []string{` 2 CPUs`, `\n0 failed`}},
	{name: "checks-old-cpu", args: []string{"faults", "lock", "clock", "vector", "timers", "apic"}, config: Config{Extra: []string{"-cpu", "max,x2apic=off,tsc-deadline=off,rdrand=off,avx=off"}}, expect: []string{` xAPIC, counting timer on 2 CPUs`, `\n0 failed`}},
	{name: "checks-4cpus", args: []string{"threads", "clock", "signals", "interrupts"}, config: Config{CPUs: 4}, expect: []string{`\n0 failed`}},

	// The clock is found with whatever the machine has to measure it by.
	{name: "clock-hpet", args: []string{"clock", "pace"}, config: Config{Extra: []string{"-machine", "hpet=on,pit=off"}}, expect: []string{`\n0 failed`}},
	{name: "clock-pm-timer", args: []string{"clock", "pace"}, config: Config{Extra: []string{"-machine", "hpet=off,pit=off"}}, expect: []string{`\n0 failed`}},
	{name: "clock-rtc", args: []string{"clock", "lock"}, config: Config{Machine: MicroVM, Extra: []string{"-machine", "pit=off,rtc=on"}}, expect: []string{`\n0 failed`}},
	{name: "clock-told", args: []string{"exit:3"}, option: "tsc=2000000000", config: Config{Machine: MicroVM, Extra: []string{"-machine", "pit=off,pic=off,rtc=off"}}, status: 3},
	{name: "clock-none", args: []string{"exit:0"}, config: Config{Machine: MicroVM, Extra: []string{"-machine", "pit=off,pic=off,rtc=off"}}, status: 1, expect: []string{`kernel panic: no clock .*tsc=HZ`}},

	{name: "stress-1cpu", args: []string{"stress:1500"}, config: Config{CPUs: 1}, expect: []string{`\n1 CPUs: \d+ steps, 0 wrong`}},
	{name: "stress-2cpus", args: []string{"stress:3000"}, config: Config{CPUs: 2}, expect: []string{`\n2 CPUs: \d+ steps, 0 wrong`}},
	{name: "stress-4cpus", args: []string{"stress:3000"}, config: Config{CPUs: 4}, expect: []string{`\n4 CPUs: \d+ steps, 0 wrong`}},
	{name: "stress-8cpus", args: []string{"stress:4000"}, config: Config{CPUs: 8}, expect: []string{`\n8 CPUs: \d+ steps, 0 wrong`}},
	{name: "stress-microvm", args: []string{"stress:1500"}, config: Config{Machine: MicroVM, CPUs: 4, Extra: acpiOff}, expect: []string{`\n4 CPUs: \d+ steps, 0 wrong`}},

	{name: "6GB", args: []string{"high"}, config: Config{Memory: 6144}, expect: []string{`\ntotal (59|60|61)\d\d MiB, pages below 4 GB: \d+, above: [1-9]`}},

	// The program's end is the machine's.
	{name: "exit-0", args: []string{"exit:0"}},
	{name: "exit-3", args: []string{"exit:3"}, status: 3},
	{name: "exit-200", args: []string{"exit:200"}, status: 200},
	{name: "exit-0-microvm", args: []string{"exit:0"}, config: Config{Machine: MicroVM}},
	{name: "exit-3-microvm-no-acpi", args: []string{"exit:3"}, config: Config{Machine: MicroVM, Extra: acpiOff}, status: 3},
	{name: "exit-0-microvm-no-acpi", args: []string{"exit:0"}, config: Config{Machine: MicroVM, Extra: acpiOff}},
	{name: "go-panic", args: []string{"panic"}, status: 2, expect: []string{`panic: on purpose`, `goroutine 1 \[running\]`}},

	// Out of memory: the Go runtime says so, and who asked for it.
	{name: "out-of-memory", args: []string{"memory"}, config: Config{Memory: 96}, status: 2, expect: []string{`out of memory`, `goroutine \d+ .*running`}},
	{name: "out-of-memory-64MB", args: []string{"memory"}, config: Config{Memory: 64, CPUs: 1}, status: 2, expect: []string{`out of memory`, `goroutine \d+ .*running`}},

	// A panic of the kernel: why, the registers, the way there, all goroutines.
	{name: "stack-overflow", args: []string{"overflow"}, status: 2, expect: []string{
		`kernel panic: kernel stack overflow`, `vector 14`, `ax [0-9a-f]+`, `kernel\.recurse`, `goroutine \d+ .*\n(.*\n)*.*main\.overflow`, `main\.overflow\.func1`}},
	{name: "quiet-overflow", args: []string{"overflow"}, option: "quiet", status: 2, expect: []string{`tuplix: 2 CPUs`, `kernel panic: kernel stack overflow`}},
	{name: "panic-poweroff", args: []string{"overflow"}, option: "panic=poweroff", status: 2, expect: []string{`kernel panic`}},
	{name: "panic-reboot", args: []string{"overflow"}, option: "panic=reboot", expect: []string{`kernel panic`, `tuplix: 2 CPUs`, `kernel panic`}, lives: true},
	{name: "panic-halt", args: []string{"overflow"}, option: "panic=halt", expect: []string{`kernel panic`, `goroutine 1 `}, lives: true},
}

// TestMetal boots the program that checks the kernel from within, on all kinds
// of machines.
func TestMetal(t *testing.T) {
	needQEMU(t)
	file := metalImage(t)
	for _, m := range metals {
		t.Run(m.name, func(t *testing.T) { m.boot(t, file) })
	}
}

// metalImage returns the image of that program.
func metalImage(t *testing.T) string {
	t.Helper()
	file, err := buildImage("qemu/testdata/metal")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func (m *metal) boot(t *testing.T, file string) {
	ctx, cancel := context.WithTimeout(context.Background(), metalDeadline)
	defer cancel()
	c := m.config
	c.Image = file
	c.Network.None = true
	if c.Memory == 0 {
		c.Memory = 256
	}
	if c.CPUs == 0 {
		c.CPUs = 2
	}
	c.Line.Args = m.args
	if name, value, _ := strings.Cut(m.option, "="); name != "" {
		c.Line.Set(name, value)
	}
	console := NewConsole()
	machine, err := Start(ctx, c, console)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		machine.Kill()
		<-machine.Done()
		if t.Failed() {
			t.Logf("console:\n%s", console.Text())
		}
	}()
	for _, want := range m.expect {
		if _, err := console.Expect(regexp.MustCompile(want), machine.Done(), metalDeadline); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range regexp.MustCompile(`(?m)^ok .*`).FindAllString(console.Text(), -1) {
		t.Log(strings.TrimSpace(line))
	}
	if m.lives {
		m.staysUp(t, machine)
		return
	}
	exit, err := machine.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if exit.Killed || !exit.Reported || exit.Status != m.status || (exit.QEMU == 0) != (m.status == 0) {
		t.Errorf("it ended with %+v, want status %s", exit, strconv.Itoa(m.status))
	}
}

// staysUp fails if the machine ends within a while.
func (m *metal) staysUp(t *testing.T, machine *Machine) {
	select {
	case <-machine.Done():
		exit, err := machine.Wait()
		t.Errorf("the machine ended: %+v, %v", exit, err)
	case <-time.After(1500 * time.Millisecond):
	}
}
