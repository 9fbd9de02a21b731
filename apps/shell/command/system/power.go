package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var (
	syncCommand = &command.Command{
		Name: "sync", Usage: "[file...]", Summary: "wait until everything written is on the disk", Run: syncMain,
	}
	rebootCommand = &command.Command{
		Name: "reboot", Usage: "", Summary: "write everything to the disk and start the machine anew",
		Run: func(_ context.Context, c *command.Call) error { return end(c, syscall.LINUX_REBOOT_CMD_RESTART) },
	}
	poweroffCommand = &command.Command{
		Name: "poweroff", Usage: "", Summary: "write everything to the disk and switch the machine off",
		Run: func(_ context.Context, c *command.Call) error { return end(c, syscall.LINUX_REBOOT_CMD_POWER_OFF) },
	}
	dmesgCommand = &command.Command{
		Name: "dmesg", Usage: "", Summary: "print what the kernel has said", Run: dmesg,
	}
	unameCommand = &command.Command{
		Name: "uname", Usage: "[-amnrsv]", Summary: "print the name and version of the system", Run: uname, Checks: true,
	}
	hostnameCommand = &command.Command{
		Name: "hostname", Usage: "[name]", Summary: "print or set the name of the machine", Run: hostname,
	}
	idCommand = &command.Command{
		Name: "id", Usage: "", Summary: "print the user and groups that the shell runs as", Run: id, Checks: true,
	}
)

func syncMain(_ context.Context, c *command.Call) error {
	names, err := c.Options().Parse(0, -1)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		syscall.Sync()
		return nil
	}
	for _, name := range names {
		f, err := os.Open(c.Path(name))
		if err != nil {
			return command.Named(name, err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return command.Named(name, err)
		}
	}
	return nil
}

// end does not return if the machine obeys.
func end(c *command.Call, how int) error {
	if _, err := c.Options().Parse(0, 0); err != nil {
		return err
	}
	syscall.Sync()
	err := syscall.Reboot(how)
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("not permitted: only root may do this, and never from inside a container")
	}
	if err != nil {
		return fmt.Errorf("the machine did not obey: %w", err)
	}
	return nil
}

// The commands of syslog(2) that dmesg needs.
const (
	syslogReadAll    = 3
	syslogSizeBuffer = 10
)

func dmesg(_ context.Context, c *command.Call) error {
	if _, err := c.Options().Parse(0, 0); err != nil {
		return err
	}
	size, err := unix.Klogctl(syslogSizeBuffer, nil)
	if err != nil || size <= 0 {
		size = 1 << 20
	}
	buf := make([]byte, size)
	n, err := unix.Klogctl(syslogReadAll, buf)
	if errors.Is(err, syscall.EPERM) {
		return errors.New("not permitted: only root may read the log of this kernel")
	}
	if err != nil {
		return fmt.Errorf("the kernel gives no log: %w", err)
	}
	log := buf[:min(max(n, 0), len(buf))]
	if len(log) > 0 && !bytes.HasSuffix(log, []byte("\n")) {
		log = append(log, '\n')
	}
	_, err = c.Out.Write(log)
	return err
}

func uname(_ context.Context, c *command.Call) error {
	o := c.Options()
	all := o.Flag("a,all", "everything")
	sysname := o.Flag("s,kernel-name", "the system, as without options")
	node := o.Flag("n,nodename", "the name of the machine")
	release := o.Flag("r,kernel-release", "the release")
	version := o.Flag("v,kernel-version", "the version")
	machine := o.Flag("m,machine", "the kind of processor")
	if _, err := o.Parse(0, 0); err != nil {
		return err
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	if !*node && !*release && !*version && !*machine {
		*sysname = true
	}
	var words []string
	for _, part := range []struct {
		on   bool
		text []byte
	}{{*sysname, u.Sysname[:]}, {*node, u.Nodename[:]}, {*release, u.Release[:]}, {*version, u.Version[:]}, {*machine, u.Machine[:]}} {
		if part.on || *all {
			words = append(words, unix.ByteSliceToString(part.text))
		}
	}
	_, err := fmt.Fprintln(c.Out, strings.Join(words, " "))
	return err
}

func hostname(_ context.Context, c *command.Call) error {
	args, err := c.Options().Parse(0, 1)
	if err != nil {
		return err
	}
	if len(args) == 1 {
		err := syscall.Sethostname([]byte(args[0]))
		if errors.Is(err, syscall.EPERM) {
			return errors.New("not permitted: only root may set the name")
		}
		return err
	}
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.Out, name)
	return err
}

func id(_ context.Context, c *command.Call) error {
	if _, err := c.Options().Parse(0, 0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.Out, "uid=%d gid=%d\n", os.Geteuid(), os.Getegid())
	return err
}
