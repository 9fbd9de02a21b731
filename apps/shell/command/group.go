package command

import (
	"context"
	"fmt"
	"slices"
)

// Group makes one command of several, told apart by the first argument: of "list"
// and "stop", "task list" and "task stop". Without an argument, and by --help, it
// lists them; each has a --help of its own.
func Group(name, summary string, verbs ...*Command) *Command {
	g := &Command{Name: name, Usage: "verb [argument...]", Summary: summary, Verbs: verbs}
	g.Run = func(ctx context.Context, c *Call) error {
		if len(c.Args) == 0 || slices.Contains([]string{"help", "-h", "--help"}, c.Args[0]) {
			return g.listVerbs(c)
		}
		v := g.verb(c.Args[0])
		if v == nil {
			return fmt.Errorf("there is no %s %s; %s --help lists what there is", name, c.Args[0], name)
		}
		whole := *v
		whole.Name = name + " " + v.Name
		c.Command, c.Args = &whole, c.Args[1:]
		return v.Run(ctx, c)
	}
	return g
}

// verb returns the verb of that name, or nil.
func (cmd *Command) verb(name string) *Command {
	i := slices.IndexFunc(cmd.Verbs, func(v *Command) bool { return v.Name == name })
	if i < 0 {
		return nil
	}
	return cmd.Verbs[i]
}

func (cmd *Command) listVerbs(c *Call) error {
	width := 0
	for _, v := range cmd.Verbs {
		width = max(width, len(v.Name)+1+len(v.Usage))
	}
	fmt.Fprintf(c.Out, "%s: %s\n", cmd.Name, cmd.Summary)
	for _, v := range cmd.Verbs {
		if _, err := fmt.Fprintf(c.Out, "  %s %-*s  %s\n", cmd.Name, width, v.Name+" "+v.Usage, v.Summary); err != nil {
			return err
		}
	}
	return ErrHelp
}

// Arguments returns what the argument after those given may be, as far as the
// command knows, for completion. It may look into tables.
func (cmd *Command) Arguments(ctx context.Context, before []string) []string {
	if len(cmd.Verbs) > 0 {
		if len(before) > 0 {
			if v := cmd.verb(before[0]); v != nil {
				return v.Arguments(ctx, before[1:])
			}
			return nil
		}
		var names []string
		for _, v := range cmd.Verbs {
			names = append(names, v.Name)
		}
		return names
	}
	if cmd.Complete == nil {
		return nil
	}
	return cmd.Complete(ctx, before)
}
