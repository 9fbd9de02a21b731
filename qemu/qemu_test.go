package qemu

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// needQEMU skips a test where there is no emulator. CI installs it, so nothing
// is skipped there.
func needQEMU(t *testing.T) {
	t.Helper()
	if _, err := find(); err != nil {
		t.Skip("no machine to boot: ", err)
	}
}

func echoImage(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("testdata/echo.elf")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestHarness runs the scripts that test this package against its own small
// guest.
func TestHarness(t *testing.T) {
	needQEMU(t)
	scripts, err := filepath.Glob("testdata/harness/*.script")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".script"), func(t *testing.T) {
			s := readScript(t, path)
			r := &Runner{Dir: t.TempDir(), Base: Config{Image: echoImage(t), Memory: 32, Accel: TCG}}
			if err := r.Run(context.Background(), s); err != nil {
				t.Error(err)
			}
		})
	}
}

func readScript(t *testing.T, path string) *Script {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseScript(filepath.Base(path), string(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A script that is not followed is an error that names the line.
func TestScriptFailures(t *testing.T) {
	needQEMU(t)
	for _, test := range []struct{ script, want string }{
		{"boot\nexpect ready\n", "still runs"},
		{"boot\nexpect ready\nsend x\nexit 41\n", "test:4: exit: exit status 42"},
		{"boot\nexpect ready\nsend x\nexpect more\n", "the machine ended before"},
		{"boot\ndeadline 100ms\nexpect never\n", "within 100ms"},
		{"boot\nexpect ready\nsend x\npanic\n", "ended otherwise"},
		{"send x\n", "no machine is running"},
	} {
		s, err := ParseScript("test", test.script)
		if err != nil {
			t.Fatal(err)
		}
		r := &Runner{Dir: t.TempDir(), Base: Config{Image: echoImage(t), Memory: 32, Accel: TCG}}
		err = r.Run(context.Background(), s)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got %v, want %q", test.script, err, test.want)
		}
	}
}

// TestRegisters asks a machine that runs where its processors are.
func TestRegisters(t *testing.T) {
	needQEMU(t)
	m, err := Start(t.Context(), Config{Image: echoImage(t), Memory: 32, CPUs: 2, Accel: TCG}, NewConsole())
	if err != nil {
		t.Fatal(err)
	}
	text, err := m.Registers()
	if err != nil || strings.Count(text, "\nRIP=")+strings.Count(text, "\nEIP=") != 2 || strings.Contains(text, "\r") {
		t.Errorf("%v, %q", err, text)
	}
	m.Kill()
	if _, err := m.Wait(); err != nil {
		t.Error(err)
	}
}

func TestStartErrors(t *testing.T) {
	needQEMU(t)
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	if err := os.WriteFile(disk, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := Config{Image: echoImage(t), Memory: 32, Accel: TCG, Disk: &Disk{Path: disk}}
	first, err := Start(ctx, c, NewConsole())
	if err != nil {
		t.Fatal(err)
	}
	// The first machine has the lock once it answers.
	if _, err := first.monitor.execute("query-status", nil); err != nil {
		t.Fatal(err)
	}
	second, err := Start(ctx, c, NewConsole())
	if err != nil {
		t.Fatal(err)
	}
	exit, err := second.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exit.Code(); err == nil || !strings.Contains(err.Error(), "in use by another machine") {
		t.Errorf("got %v for a disk that is in use", err)
	}
	cancel()
	if exit, err = first.Wait(); err != nil || !exit.Killed {
		t.Errorf("got %+v, %v after the context's end", exit, err)
	}
	if _, err := Start(context.Background(), Config{Machine: "none", Accel: TCG}, NewConsole()); err == nil {
		t.Error("an unknown machine is started")
	}
}

// TestDiesWithParent kills a process that runs a machine, by SIGKILL, and looks
// for the machine.
func TestDiesWithParent(t *testing.T) {
	needQEMU(t)
	if image := os.Getenv("QEMU_TEST_CHILD"); image != "" {
		m, err := Start(context.Background(), Config{Image: image, Memory: 32, Accel: TCG}, NewConsole())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(os.Getenv("QEMU_TEST_PID"), []byte(itoa(m.PID())), 0o600); err != nil {
			t.Fatal(err)
		}
		<-m.Done()
		return
	}
	note := filepath.Join(t.TempDir(), "pid")
	cmd := exec.Command(os.Args[0], "-test.run=^TestDiesWithParent$")
	cmd.Env = append(os.Environ(), "QEMU_TEST_CHILD="+echoImage(t), "QEMU_TEST_PID="+note)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	waitFor(t, func() bool {
		text, err := os.ReadFile(note)
		pid = atoi(string(text))
		return err == nil && pid > 0
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	waitFor(t, func() bool { return !alive(pid) })
}

// alive reports whether a process runs; one that is dead but not yet reaped by
// init does not.
func alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing happened within 20 s")
		}
	}
}
