package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/tuplix/tuplix/cmd/tuplix/image"
	"github.com/tuplix/tuplix/kernel/cmdline"
	"github.com/tuplix/tuplix/qemu"
)

func runCommand() *command {
	return &command{
		name:  "run",
		args:  "[flags] [DIR|IMAGE] [-- ARGUMENTS]",
		short: "boot a Go program in QEMU",
		long: `
Run builds the package main in DIR (default: the current directory) as "tuplix
build" does, or takes an IMAGE file, and boots it in QEMU on this terminal.

The arguments and the variables given with -env reach the program; its exit
status becomes the tool's. If the system itself fails, the status is another
one than 0 and a line on standard error says so.

On a terminal every key goes to the program, Ctrl-C too; Ctrl-A x ends the
machine, and a SIGQUIT sent to the tool has it report what all its goroutines
do, and end. Where standard input is a pipe or a file, the console gets a Ctrl-D at
its end.

With -encrypt a new disk is an encrypted one. A passphrase is asked for, or the
key is in the -key-file, now and in later runs, which know that the disk is
encrypted; "tuplix disk" changes keys.

Without -disk, files live in memory and are gone with the machine. The network
is that of QEMU's user mode: the program reaches out through the host, and -p
lets connections in. Nothing of this needs root.

Examples:
  tuplix run ./apps/hello
  tuplix run -disk state.img -m 1G -smp 2 -p 8080:8080 -env LEVEL=debug ./server -- -verbose`,
		run: runRun,
	}
}

func runRun(ctx context.Context, f *flag.FlagSet, args []string) (int, error) {
	var b buildFlags
	var m machineFlags
	var k keyFlags
	b.define(f)
	m.define(f)
	k.define(f)
	if err := parseFlags(f, args); err != nil {
		return 0, err
	}
	target, arguments := splitArguments(f.Args())
	config, err := m.config()
	if err != nil {
		return 0, err
	}
	if config.Key, err = k.key(ctx, m.disk, config.Memory); err != nil {
		return 0, m.discardNew(err)
	}
	defer clear(config.Key)
	config.Line.Args = append(config.Line.Args, arguments...)
	config.Line.Env = append(m.outside(), config.Line.Env...)
	if config.Image, err = m.image(ctx, &b, target); err != nil {
		return 0, err
	}
	if err := checkMemory(&config); err != nil {
		return 0, m.discardNew(err)
	}
	m.report()
	exit, err := qemu.Run(ctx, config)
	if err != nil {
		return 0, err
	}
	return exit.Code()
}

// splitArguments separates what to run from the program's arguments. A first
// "--" after the target only separates.
func splitArguments(args []string) (target string, rest []string) {
	if len(args) == 0 {
		return ".", nil
	}
	target, rest = args[0], args[1:]
	if len(rest) > 0 && rest[0] == "--" {
		rest = rest[1:]
	}
	return target, rest
}

// image returns the file to boot: target itself if it is a file, else one that
// is built from it.
func (m *machineFlags) image(ctx context.Context, b *buildFlags, target string) (string, error) {
	if info, err := os.Stat(target); err == nil && info.Mode().IsRegular() {
		return target, nil
	}
	path, err := image.CachePath(target)
	if err != nil {
		return "", err
	}
	p := startProgress(os.Stderr, "building "+target)
	o := b.options(target, path)
	o.Plain = true // sooner there than a compressed one, and with its symbols
	err = image.Build(ctx, o)
	p.stop()
	return path, err
}

// environment is a flag that collects NAME=VALUE; a NAME alone takes its value
// from the tool's own environment.
type environment []string

func (e *environment) String() string { return "" }

func (e *environment) Set(s string) error {
	for i := range s {
		if s[i] == '=' && i > 0 {
			*e = append(*e, s)
			return nil
		}
	}
	value, ok := os.LookupEnv(s)
	if !ok {
		return fmt.Errorf("%q is not NAME=VALUE, and no variable of that name is set here", s)
	}
	*e = append(*e, s+"="+value)
	return nil
}

// forwards is a flag that collects port forwardings.
type forwards []qemu.Forward

func (p *forwards) String() string { return "" }

func (p *forwards) Set(s string) error {
	f, err := qemu.ParseForward(s)
	if err == nil {
		*p = append(*p, f)
	}
	return err
}

// commandLine is a flag that collects options of the system's command line.
type commandLine cmdline.Line

func (c *commandLine) String() string { return "" }

func (c *commandLine) Set(s string) error {
	l, err := cmdline.Parse(s)
	c.Options = append(c.Options, l.Options...)
	c.Env = append(c.Env, l.Env...)
	c.Args = append(c.Args, l.Args...)
	return err
}
