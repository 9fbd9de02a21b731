package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"github.com/tuplix/tuplix/kernel/cmdline"
	"github.com/tuplix/tuplix/qemu"
)

// machineFlags are the flags that describe a machine.
type machineFlags struct {
	disk, diskSize string
	memory         string
	cpus           int
	ports          forwards
	env            environment
	machine, accel string
	onPanic        string
	line           commandLine
	tap            string
	verbose        bool
	created        bool // the disk, just now
}

func (m *machineFlags) define(f *flag.FlagSet) {
	f.StringVar(&m.disk, "disk", "", "keep the state in the disk image `file`; it is created where there is none")
	f.StringVar(&m.diskSize, "disk-size", "8G", "`size` of a disk image to be created; it takes space only as it fills")
	f.StringVar(&m.memory, "m", "512M", "`memory` of the machine")
	f.IntVar(&m.cpus, "smp", 1, "`number` of CPUs")
	f.Var(&m.ports, "p", "forward a port of the host to the program, as `[ADDRESS:]HOST:GUEST[/udp]`;\nADDRESS is 127.0.0.1 if not given; may be repeated")
	f.Var(&m.env, "env", "set a variable in the program's environment, as `NAME=VALUE`, or NAME to pass it on;\nmay be repeated")
	f.StringVar(&m.machine, "machine", qemu.Q35, "`kind` of machine: q35 or microvm")
	f.StringVar(&m.accel, "accel", "auto", "`how` to execute: kvm, tcg, or auto, which uses KVM if it is seen to work")
	f.StringVar(&m.onPanic, "panic", "poweroff", "what the system does when it fails: `poweroff`, reboot or halt")
	f.Var(&m.line, "cmdline", "further `options` for the system's command line; may be repeated")
	f.StringVar(&m.tap, "tap", "", "connect the machine to the tap interface `name` in place of user-mode networking")
	f.BoolVar(&m.verbose, "v", false, "say how the machine is run")
}

// config checks the flags and returns the machine they describe, without an
// image. It creates the disk image where there is none.
func (m *machineFlags) config() (qemu.Config, error) {
	c := qemu.Config{Machine: m.machine, CPUs: m.cpus}
	var err error
	if m.cpus < 1 || m.cpus > 64 {
		return c, usagef("-smp %d: a machine has 1 to 64 CPUs", m.cpus)
	}
	if m.machine != qemu.Q35 && m.machine != qemu.MicroVM {
		return c, usagef("-machine %s: use q35 or microvm", m.machine)
	}
	if m.tap != "" && len(m.ports) > 0 {
		return c, usagef("-p is for user-mode networking: with -tap the program's ports are on its own address")
	}
	if c.Accel, err = qemu.ParseAccel(m.accel); err != nil {
		return c, usageError{err}
	}
	memory, err := parseSize(m.memory)
	if err != nil || memory < 16<<20 || memory%(1<<20) != 0 {
		return c, usagef("-m %s: give the memory in whole megabytes, at least 16M", m.memory)
	}
	c.Memory = int(memory >> 20)
	c.Network = qemu.Network{Forwards: m.ports, Tap: m.tap}
	if c.Line, err = m.commandLine(); err != nil {
		return c, err
	}
	if m.disk != "" {
		c.Disk = &qemu.Disk{Path: m.disk}
		err = m.createDisk()
	}
	return c, err
}

// commandLine returns what the system and the program are told.
func (m *machineFlags) commandLine() (cmdline.Line, error) {
	var l cmdline.Line
	switch m.onPanic {
	case "poweroff", "reboot", "halt":
		l.Set("panic", m.onPanic)
	default:
		return l, usagef("-panic %s: use poweroff, reboot or halt", m.onPanic)
	}
	l.Options = append(l.Options, m.line.Options...)
	l.Env = append(terminalEnv(), append(m.line.Env, m.env...)...)
	l.Args = m.line.Args
	if err := l.Check(); err != nil {
		return l, usageError{err}
	}
	return l, nil
}

// terminalEnv describes the terminal to the program, where there is one.
func terminalEnv() []string {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return nil
	}
	var env []string
	if t := os.Getenv("TERM"); t != "" {
		env = append(env, "TERM="+t)
	}
	if width, height, err := term.GetSize(fd); err == nil {
		env = append(env, fmt.Sprintf("COLUMNS=%d", width), fmt.Sprintf("LINES=%d", height))
	}
	return env
}

// outside tells the program, in its environment, what it cannot see from
// within: TUPLIX_FORWARDS lists ports of the host and the TCP ports of the
// machine that they lead to ("8080:80,2222:22"); TUPLIX_CONSOLE is "pipe" if no
// person sits at the console. Programs need not know them; the shell does.
func (m *machineFlags) outside() []string {
	var env, ports []string
	for _, p := range m.ports {
		if !p.UDP {
			ports = append(ports, fmt.Sprintf("%d:%d", p.Host, p.Guest))
		}
	}
	if len(ports) > 0 {
		env = append(env, "TUPLIX_FORWARDS="+strings.Join(ports, ","))
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		env = append(env, "TUPLIX_CONSOLE=pipe")
	}
	return env
}

// createDisk makes a sparse image file where there is none.
func (m *machineFlags) createDisk() error {
	size, err := parseSize(m.diskSize)
	if err != nil || size < 16<<20 || size%512 != 0 {
		return usagef("-disk-size %s: give a size such as 512M or 8G, at least 16M", m.diskSize)
	}
	if info, err := os.Stat(m.disk); err == nil && !info.Mode().IsRegular() && info.Mode()&os.ModeDevice == 0 {
		return usagef("-disk %s: that is neither a file nor a device; name a disk image, which is made where there is none", m.disk)
	}
	f, err := os.OpenFile(m.disk, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("disk image: %w", err)
	}
	m.created = true
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return m.discardNew(fmt.Errorf("disk image: %w", err))
	}
	return nil
}

// discardNew removes an image that was created just now and could not be made
// what it should be, for the reason err.
func (m *machineFlags) discardNew(err error) error {
	if m.created {
		err = errors.Join(err, os.Remove(m.disk))
	}
	return err
}

// report says how the machine is run, if that was asked for.
func (m *machineFlags) report() {
	if !m.verbose {
		return
	}
	how := m.accel
	if how == "auto" {
		var err error
		if how, err = qemu.Describe(context.Background()); err != nil {
			return // the start will fail and say why
		}
	}
	fmt.Fprintf(os.Stderr, "(machine %s, %d CPUs, %s of memory, %s)\n", m.machine, m.cpus, m.memory, how)
}

// parseSize reads a number of bytes with an optional suffix K, M, G or T, in
// powers of 1024.
func parseSize(s string) (int64, error) {
	shift := 0
	if s != "" {
		if i := strings.IndexByte("KMGT", s[len(s)-1]&^0x20); i >= 0 {
			shift, s = 10*(i+1), s[:len(s)-1]
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, err
	}
	if n < 0 || n > (1<<62)>>shift {
		return 0, strconv.ErrRange
	}
	return n << shift, nil
}
