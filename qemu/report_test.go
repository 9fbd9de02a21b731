package qemu

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestReport has machines that do not end by themselves report what they are at, and
// end with the status of a panic.
func TestReport(t *testing.T) {
	needQEMU(t)
	file := metalImage(t)
	for _, how := range []string{"waiting", "busy", "calling"} {
		t.Run(how, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), metalDeadline)
			defer cancel()
			c := Config{Image: file, Memory: 64, CPUs: 2, Accel: TCG}
			c.Network.None = true
			c.Line.Set("quiet", "")
			c.Line.Args = []string{"stay:" + how}
			console := NewConsole()
			m, err := Start(ctx, c, console)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				m.Kill()
				<-m.Done()
				if t.Failed() {
					t.Logf("console:\n%s", console.Text())
				}
			}()
			expect := func(want string) {
				if _, err := console.Expect(regexp.MustCompile(want), m.Done(), metalDeadline); err != nil {
					t.Fatal(err)
				}
			}
			expect("it stays, " + how)
			if err := m.Report(); err != nil {
				t.Fatal(err)
			}
			expect(`kernel panic: non-maskable interrupt`)
			expect(`main\.stay\.func\d+`)
			exit, err := m.Wait()
			if err != nil || exit.Killed || !exit.Reported || exit.Status != 2 {
				t.Errorf("%+v, %v", exit, err)
			}
		})
	}
}

// TestReportAtSignal sends a SIGQUIT to a process that runs a machine.
func TestReportAtSignal(t *testing.T) {
	needQEMU(t)
	if image := os.Getenv("QEMU_TEST_IMAGE"); image != "" {
		c := Config{Image: image, Memory: 64, Accel: TCG}
		c.Network.None = true
		c.Line.Args = []string{"stay:waiting"}
		exit, err := Run(t.Context(), c)
		fmt.Printf("%+v, %v\n", exit, err)
		return
	}
	file := metalImage(t)
	ctx, cancel := context.WithTimeout(t.Context(), metalDeadline)
	defer cancel()
	console := NewConsole()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestReportAtSignal$")
	cmd.Env = append(os.Environ(), "QEMU_TEST_IMAGE="+file)
	cmd.Stdout = console
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	for _, want := range []string{"it stays, waiting", "kernel panic: non-maskable interrupt", `main\.stay\.func\d+`, `\{Reported:true Status:2 `} {
		if _, err := console.Expect(regexp.MustCompile(want), ended, metalDeadline); err != nil {
			t.Fatalf("%v\n%s", err, console.Text())
		}
		if strings.HasPrefix(want, "it stays") {
			if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
				t.Fatal(err)
			}
		}
	}
	<-ended
}
