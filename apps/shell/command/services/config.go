package services

import (
	"context"
	"errors"
	"fmt"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/system"
)

func settings(open Open) *command.Command {
	name := keys(config.Settings, func(r *config.Row) string { return r.Name })
	return command.Group("config", "the settings of the system",
		listed(open, "list", "list all settings", config.Settings, []string{"setting", "value", "from", "type", "what"},
			func(r *config.Row) []any {
				v, from := holds(r)
				return []any{r.Name, v, from, r.Type, r.Doc}
			}),
		open.completed(configGet(open), name), open.completed(configSet(open), name),
		open.completed(configUnset(open), name), open.completed(configExplain(open), name))
}

// holds returns the value that holds, and where it comes from.
func holds(r *config.Row) (value, from string) {
	switch {
	case r.Override.Valid:
		return r.Override.V, "command line"
	case r.Value.Valid:
		return r.Value.V, "set"
	}
	return r.Default, "default"
}

// one makes a verb about one setting.
func (open Open) one(verb, summary string, do func(c *command.Call, r *config.Row) error) *command.Command {
	return open.verb(verb, "setting", summary, func(c *command.Call) (job, error) {
		args, err := c.Options().Parse(1, 1)
		return func(ctx context.Context, s *system.System) error {
			return s.Store.View(ctx, func(tx *table.Tx) error {
				if err := mayRead(ctx, tx, config.Settings.Name()); err != nil {
					return err
				}
				r, err := config.Settings.Get(tx, args[0])
				if errors.Is(err, table.ErrNotFound) {
					return fmt.Errorf("there is no setting %s; config list shows all", args[0])
				}
				if err != nil {
					return err
				}
				return do(c, &r)
			})
		}, err
	})
}

func configGet(open Open) *command.Command {
	return open.one("get", "print the value of a setting", func(c *command.Call, r *config.Row) error {
		v, _ := holds(r)
		_, err := fmt.Fprintln(c.Out, v)
		return err
	})
}

func configExplain(open Open) *command.Command {
	return open.one("explain", "tell what a setting is for and what it may be", func(c *command.Call, r *config.Row) error {
		v, from := holds(r)
		rule := ""
		if r.Rule != "" {
			rule = ", " + r.Rule
		}
		_, err := fmt.Fprintf(c.Out, "%s\n  %s\n  type     %s%s\n  default  %s\n  holds    %s (%s)\n", r.Name, r.Doc, r.Type, rule,
			command.Cell(r.Default), command.Cell(v), from)
		if err == nil && r.Override.Valid && r.Value.Valid {
			_, err = fmt.Fprintf(c.Out, "  set      %s; the boot's command line overrides it\n", r.Value.V)
		}
		return err
	})
}

func configSet(open Open) *command.Command {
	return open.verb("set", "setting value", "change a setting, for good", func(c *command.Call) (job, error) {
		args, err := c.Options().Parse(2, 2)
		return func(ctx context.Context, s *system.System) error {
			if err := s.Config.Set(ctx, args[0], &args[1]); err != nil {
				return settingError(err)
			}
			return noteOverride(ctx, c, s, args[0])
		}, err
	})
}

func configUnset(open Open) *command.Command {
	return open.verb("unset", "setting", "go back to the default of a setting", func(c *command.Call) (job, error) {
		args, err := c.Options().Parse(1, 1)
		return func(ctx context.Context, s *system.System) error {
			if err := s.Config.Set(ctx, args[0], nil); err != nil {
				return settingError(err)
			}
			return noteOverride(ctx, c, s, args[0])
		}, err
	})
}

func settingError(err error) error {
	if errors.Is(err, config.ErrUnknown) {
		return fmt.Errorf("%w; config list shows all", err)
	}
	return err
}

// noteOverride says that a change has no effect until the next boot.
func noteOverride(ctx context.Context, c *command.Call, s *system.System, name string) error {
	return s.Store.View(ctx, func(tx *table.Tx) error {
		r, err := config.Settings.Get(tx, name)
		if err == nil && r.Override.Valid {
			fmt.Fprintf(c.Err, "config: until the next boot %s is %s, as its command line says\n", name, command.Cell(r.Override.V))
		}
		return err
	})
}
