package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// overview prints what the tool is and its commands.
func overview(w io.Writer) {
	fmt.Fprint(w, "Tuplix boots a Go program on the bare machine.\n\nusage: tuplix COMMAND [flags] [arguments]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-9s %s\n", c.name, c.short)
	}
	fmt.Fprint(w, "  help      explain a command\n\n\"tuplix help COMMAND\" tells more.\n")
}

func help(args []string) int {
	if len(args) == 0 {
		overview(os.Stdout)
		return 0
	}
	for _, c := range commands() {
		if c.name == args[0] {
			describe(os.Stdout, c)
			return 0
		}
	}
	fmt.Fprintf(os.Stderr, "tuplix: no command %q to explain; \"tuplix help\" lists them\n", args[0])
	return exitUsage
}

// describe prints the long help of a command and its flags. The flags are
// those that the command itself defines when it runs.
func describe(w io.Writer, c *command) {
	fmt.Fprintf(w, "usage: tuplix %s %s\n\n%s\n", c.name, c.args, strings.TrimSpace(c.long))
	f := flag.NewFlagSet(c.name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	// Asking for help makes the command define its flags and go no further.
	if _, err := c.run(context.Background(), f, []string{"-help"}); err != flag.ErrHelp {
		return
	}
	first := true
	f.VisitAll(func(fl *flag.Flag) {
		if first {
			fmt.Fprint(w, "\nFlags:\n")
			first = false
		}
		name, usage := flag.UnquoteUsage(fl)
		fmt.Fprintf(w, "  -%s %s\n", fl.Name, name)
		fmt.Fprintf(w, "        %s\n", strings.ReplaceAll(usage, "\n", "\n        "))
	})
}
