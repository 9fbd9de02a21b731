package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/interp"

	"github.com/tuplix/tuplix/apps/shell/command"
)

// own returns the commands that need the session.
func (s *Session) own() []*command.Command {
	return []*command.Command{
		{Name: "help", Usage: "[command...]", Summary: "list the commands, or tell about some", Run: s.help, Checks: true},
		{Name: "which", Usage: "name...", Summary: "tell what a word of the shell is", Run: s.which, Checks: true},
		{Name: "sh", Usage: "[-c text | file] [argument...]", Summary: "run a script in a shell of its own", Run: s.sh, Checks: true},
	}
}

func (s *Session) help(ctx context.Context, c *command.Call) error {
	names, err := c.Options().Parse(0, -1)
	if err != nil {
		return err
	}
	for _, name := range names {
		cmd := s.registry.Lookup(name)
		if cmd == nil {
			return fmt.Errorf("%s: no such command%s", name, s.advice(name))
		}
		if err := c.Exec(ctx, []string{cmd.Name, "--help"}, nil); err != nil {
			return err
		}
	}
	if len(names) > 0 {
		return nil
	}
	width := 0
	for _, name := range s.registry.Names() {
		width = max(width, len(name))
	}
	for _, name := range s.registry.Names() {
		if _, err := fmt.Fprintf(c.Out, "%-*s  %s\n", width, name, s.registry.Lookup(name).Summary); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(c.Out, "\nBuiltins: %s\nThe language is that of bash: pipes, redirections, globs, variables, loops, functions.\nhelp NAME or NAME --help tells more about a command.\n",
		strings.Join(builtins, " "))
	return err
}

func (s *Session) which(_ context.Context, c *command.Call) error {
	names, err := c.Options().Parse(1, -1)
	if err != nil {
		return err
	}
	failed := false
	for _, name := range names {
		switch cmd := s.registry.Lookup(name); {
		case cmd != nil:
			fmt.Fprintf(c.Out, "%s: command: %s\n", cmd.Name, cmd.Summary)
		case slices.Contains(builtins, name) || interp.IsBuiltin(name):
			fmt.Fprintf(c.Out, "%s: builtin of the shell\n", name)
		default:
			fmt.Fprintf(c.Err, "which: %s: no such command%s\n", name, s.advice(name))
			failed = true
		}
	}
	if failed {
		return command.Exit(command.StatusFailed)
	}
	return nil
}

func (s *Session) sh(ctx context.Context, c *command.Call) error {
	o := c.Options()
	o.InOrder = true
	text := o.String("c", "TEXT", "", "the script itself")
	args, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	status := 0
	hc := interp.HandlerCtx(ctx)
	switch {
	case slices.Contains(c.Args, "-c"):
		var params []string
		if len(args) > 1 {
			params = args[1:] // the first is $0
		}
		status = s.script(ctx, hc, "sh", strings.NewReader(*text), params, c.Stdin())
	case len(args) > 0:
		if !strings.Contains(args[0], "/") {
			args[0] = "./" + args[0]
		}
		status = s.file(ctx, hc, args, c.Stdin())
	default:
		return errors.New("a shell in this shell would be the same shell: give it a script (-c text, or a file)")
	}
	if status != 0 {
		return command.Exit(status)
	}
	return nil
}
