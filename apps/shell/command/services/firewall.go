package services

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/net/control"
	"github.com/tuplix/tuplix/services/system"
)

func firewall(open Open) *command.Command {
	return command.Group("firewall", "which connections the machine takes and makes", firewallList(open), firewallAdd(open), firewallRemove(open))
}

func firewallList(open Open) *command.Command {
	return open.verb("list", "[--json]", "list the rules in the order in which they are asked", func(c *command.Call) (job, error) {
		o := c.Options()
		json := o.Flag("json", jsonHelp)
		_, err := o.Parse(0, 0)
		return func(ctx context.Context, s *system.System) error {
			hits := map[uint32]uint64{}
			err := errors.Join(s.Net.Flush(ctx), listTable(ctx, s, control.RuleHits, table.Span{}, func(h control.Hits) error {
				hits[h.Position] = h.Hits
				return nil
			}))
			if err != nil {
				return err
			}
			list := c.List(*json, "position", "rule", "hits", "what")
			err = listTable(ctx, s, control.Rules, table.Span{}, func(r control.Rule) error {
				text := r.Text()
				if r.Off {
					text = "(off) " + text
				}
				return list.Row(r.Position, text, hits[r.Position], r.Doc)
			})
			return errors.Join(err, list.End())
		}, err
	})
}

const ruleHelp = "[-p position] [-d text] allow|deny in|out [tcp|udp|icmp] [from|to address[/bits]] [port n[-m]] [program name]"

func firewallAdd(open Open) *command.Command {
	return open.verb("add", ruleHelp, "add a rule; the first that fits decides", func(c *command.Call) (job, error) {
		o := c.Options()
		position := o.Int("p,position", "N", 0, 1, "where it is asked; without it, after all others")
		doc := o.String("d,doc", "TEXT", "", "what it is for")
		words, err := o.Parse(2, -1)
		return func(ctx context.Context, s *system.System) error {
			at, err := s.Net.SetRule(ctx, uint32(*position), strings.Join(words, " "), *doc)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.Out, at)
			return err
		}, err
	})
}

func firewallRemove(open Open) *command.Command {
	cmd := open.verb("remove", "position", "remove a rule", func(c *command.Call) (job, error) {
		args, err := c.Options().Parse(1, 1)
		var position uint64
		if err == nil {
			if position, err = strconv.ParseUint(args[0], 10, 32); err != nil {
				err = command.Usagef("%q is no position of a rule; firewall list shows them", args[0])
			}
		}
		return func(ctx context.Context, s *system.System) error {
			err := s.Net.RemoveRule(ctx, uint32(position))
			if errors.Is(err, table.ErrNotFound) {
				return fmt.Errorf("there is no rule at %d; firewall list shows all", position)
			}
			return err
		}, err
	})
	return open.completed(cmd, keys(control.Rules, func(r *control.Rule) string { return strconv.Itoa(int(r.Position)) }))
}
