package network

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/tuplix/tuplix/apps/shell/command"
)

// Commands returns the commands of this package.
func Commands() []*command.Command {
	return []*command.Command{ipCommand, ifconfigCommand, pingCommand, wgetCommand, hostCommand}
}

var hostCommand = &command.Command{
	Name: "host", Usage: "name...", Summary: "look names and addresses up", Run: host,
}

func host(ctx context.Context, c *command.Call) error {
	names, err := c.Options().Parse(1, -1)
	if err != nil {
		return err
	}
	for _, name := range names {
		look, verb := net.DefaultResolver.LookupHost, "has address"
		if net.ParseIP(name) != nil {
			look, verb = net.DefaultResolver.LookupAddr, "is"
		}
		found, err := look(ctx, name)
		if err != nil {
			return err
		}
		for _, f := range found {
			if _, err := fmt.Fprintf(c.Out, "%s %s %s\n", name, verb, strings.TrimSuffix(f, ".")); err != nil {
				return err
			}
		}
	}
	return nil
}
