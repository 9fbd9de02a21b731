package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tuplix/tuplix/kernel/cmdline"
)

func main() {
	status, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "linuxinit:", err)
		status = 255
	}
	unix.Sync()
	if err := report(status); err != nil {
		fmt.Fprintln(os.Stderr, "linuxinit:", err)
	}
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Fprintln(os.Stderr, "linuxinit: power off:", err)
	}
	select {} // init must not end
}

// run makes the machine ready and runs the program.
func run() (status int, err error) {
	for _, m := range []struct{ kind, dir string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := mount(m.kind, m.kind, m.dir); err != nil {
			return 0, err
		}
	}
	if err := loadModules("/modules"); err != nil {
		return 0, err
	}
	if _, err := os.Stat("/dev/vda"); err == nil {
		if err := mount("/dev/vda", "ext4", "/data"); err != nil {
			return 0, err
		}
	}
	if err := startNetwork(); err != nil {
		return 0, err
	}
	return runApp()
}

func mount(source, kind, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, dir, kind, 0, ""); err != nil {
		return fmt.Errorf("mount %s at %s: %w", source, dir, err)
	}
	return nil
}

// loadModules loads the files that dir/order names, one a line.
func loadModules(dir string) error {
	order, err := os.ReadFile(dir + "/order")
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(order)) {
		f, err := os.Open(dir + "/" + name)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load %s: %w", name, err)
		}
	}
	return nil
}

// runApp runs the program with what the command line says, and returns its
// status.
func runApp() (int, error) {
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return 0, err
	}
	line, err := cmdline.Parse(string(text))
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll("/data", 0o755); err != nil {
		return 0, err
	}
	cmd := exec.Command("/app", line.Args...)
	cmd.Dir = "/data"
	cmd.Env = append([]string{"HOME=/", "TMPDIR=/data"}, line.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return cmd.ProcessState.ExitCode() & 0xff, nil
}

// report writes the status to QEMU's debug console, as Tuplix does.
func report(status int) error {
	f, err := os.OpenFile("/dev/port", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	const port = 0xe9
	for _, c := range []byte(fmt.Sprintf("exit %d\n", status)) {
		if _, err := f.WriteAt([]byte{c}, port); err != nil {
			return err
		}
	}
	return nil
}
