package qemu

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/tuplix/tuplix/cmd/tuplix/image"
)

// TestX2APIC boots 1 to 8 processors in x2APIC mode, which the program sees for
// itself on each, and has them send and receive interrupts. QEMU emulates it from
// version 9 on, which is newer than Debian 12's: make test-newer-qemu.
func TestX2APIC(t *testing.T) {
	needQEMU(t)
	file := filepath.Join(t.TempDir(), "metal.elf")
	if err := image.Build(context.Background(), image.Options{Dir: "testdata/metal", Output: file}); err != nil {
		t.Fatal(err)
	}
	needX2APIC(t, file)
	for _, machine := range []string{Q35, MicroVM} {
		for _, cpus := range []int{1, 2, 4, 8} {
			m := metal{
				args:   []string{"apic", "timers", "lock", "interrupts"},
				config: Config{Machine: machine, CPUs: cpus},
				expect: []string{fmt.Sprintf(`ok apic .* x2APIC, .* on %d CPUs`, cpus), `\n0 failed`},
			}
			t.Run(fmt.Sprintf("%s-%d", machine, cpus), func(t *testing.T) { m.boot(t, file) })
		}
	}
}

// needX2APIC skips a test if QEMU's processors have none, which is for CPUID to
// say, not for the kernel.
func needX2APIC(t *testing.T, file string) {
	ctx, cancel := context.WithTimeout(context.Background(), metalDeadline)
	defer cancel()
	c := Config{Image: file, Network: Network{None: true}}
	c.Line.Args = []string{"features"}
	console := NewConsole()
	machine, err := Start(ctx, c, console)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { machine.Kill(); <-machine.Done() }()
	got, err := console.Expect(regexp.MustCompile(`x2APIC (true|false)`), machine.Done(), metalDeadline)
	if err != nil {
		t.Fatal(err)
	}
	if got[1] == "false" {
		t.Skip("the processors that this QEMU emulates have no x2APIC; those of QEMU 9 and later do (make test-newer-qemu)")
	}
}
