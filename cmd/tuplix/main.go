package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// command is one subcommand of tuplix.
type command struct {
	name  string
	args  string // what follows the name in the usage line
	short string // one line for the list of commands
	long  string // the text of "tuplix help NAME", before the flags
	run   func(ctx context.Context, f *flag.FlagSet, args []string) (int, error)
}

// exitUsage is the exit status for a command line that makes no sense;
// exitFailure for anything else that went wrong in the tool itself.
const (
	exitFailure = 1
	exitUsage   = 2
)

// usageError is an error in the command line.
type usageError struct{ error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

func commands() []*command {
	return []*command{runCommand(), buildCommand(), testCommand(), diskCommand(), storeCommand(), versionCommand()}
}

func main() {
	// These signals end the tool in order, and with it the machine it runs.
	// Typed at a guest's console Ctrl-C is a key and no signal.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	status := dispatch(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// dispatch runs the subcommand that args name and returns the exit status.
func dispatch(ctx context.Context, args []string) int {
	if len(args) == 0 {
		overview(os.Stderr)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		return help(args[1:])
	case "-version", "--version":
		args[0] = "version"
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return execute(ctx, c, args[1:])
		}
	}
	fmt.Fprintf(os.Stderr, "tuplix: no command %q; \"tuplix help\" lists them\n", args[0])
	return exitUsage
}

func execute(ctx context.Context, c *command, args []string) int {
	f := flag.NewFlagSet(c.name, flag.ContinueOnError)
	f.Usage = func() {}
	f.SetOutput(io.Discard)
	status, err := c.run(ctx, f, args)
	var usage usageError
	switch {
	case errors.Is(err, flag.ErrHelp):
		describe(os.Stdout, c)
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "tuplix %s: %v\nusage: tuplix %s %s\n(\"tuplix help %s\" explains)\n", c.name, err, c.name, c.args, c.name)
		return exitUsage
	case err != nil && ctx.Err() != nil:
		fmt.Fprintf(os.Stderr, "tuplix %s: stopped by a signal\n", c.name)
		return exitFailure
	case err != nil:
		fmt.Fprintf(os.Stderr, "tuplix %s: %v\n", c.name, err)
		return max(status, exitFailure)
	}
	return status
}

// parseFlags parses args and makes flag errors usage errors.
func parseFlags(f *flag.FlagSet, args []string) error {
	err := f.Parse(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	return usageError{err}
}
