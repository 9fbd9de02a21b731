package services

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/file"
	"github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/user"
)

// Open returns the services, which it opens when it is first called.
type Open func(ctx context.Context) (*system.System, error)

// errLinux is what someone is told who types these commands on Linux.
var errLinux = errors.New("this shell runs on Linux; what this shows is on a machine booted by tuplix")

// open opens the services, with an error for people.
func (open Open) open(ctx context.Context) (*system.System, error) {
	s, err := open(ctx)
	if errors.Is(err, store.ErrNone) {
		return nil, errLinux
	}
	if err != nil {
		return nil, fmt.Errorf("the services of the system do not start: %w", err)
	}
	return s, nil
}

// Commands returns the commands of this package.
func Commands(open Open) []*command.Command {
	list := []*command.Command{
		tasks(open), messages(open), topics(open), logs(open), spans(open), settings(open), users(open), passwd(open), whoami(),
		metrics(open), network(open), firewall(open), tables(open), rows(open), restore(open),
	}
	for _, c := range list {
		c.Checks = true
	}
	return list
}

// job is a verb once its options are read.
type job func(ctx context.Context, s *system.System) error

// verb makes a command. Its options are read before the services are opened, so
// that help and wrong arguments cost nothing.
func (open Open) verb(name, usage, summary string, prepare func(c *command.Call) (job, error)) *command.Command {
	run := func(ctx context.Context, c *command.Call) error {
		do, err := prepare(c)
		if err != nil {
			return err
		}
		s, err := open.open(ctx)
		if err != nil {
			return err
		}
		return do(ctx, s)
	}
	return &command.Command{Name: name, Usage: usage, Summary: summary, Run: run}
}

// completed gives a command its completion: the words for its first argument.
func (open Open) completed(cmd *command.Command, words func(ctx context.Context, tx *table.Tx) ([]string, error)) *command.Command {
	cmd.Complete = func(ctx context.Context, before []string) (found []string) {
		if len(before) > 0 {
			return nil
		}
		s, err := open.open(ctx)
		if err != nil {
			return nil // the command itself will say why
		}
		err = s.Store.View(ctx, func(tx *table.Tx) (err error) {
			found, err = words(ctx, tx)
			return err
		})
		if err != nil {
			return nil
		}
		return found
	}
	return cmd
}

// jsonHelp is the help of all options --json.
const jsonHelp = "print JSON, one object on a line"

// pastHelp says how a time in the past is written.
const pastHelp = "2026-01-31T15:04:05Z, a day, seconds since 1970, or how long ago: -10m, -2h30m, -3d"

// pastTime reads such a time.
func pastTime(option, text string) (time.Time, error) {
	t, err := file.ParseTime(text, time.Now())
	if err != nil {
		return t, command.Usagef("%s: %v", option, err)
	}
	return t, nil
}

// versionAt is the state of the store at a time; "": now.
func versionAt(ctx context.Context, s *system.System, text string) (engine.Version, error) {
	if text == "" {
		return "", nil
	}
	t, err := pastTime("--at", text)
	if err != nil {
		return "", err
	}
	v, err := s.Store.Engine().At(ctx, t)
	if errors.Is(err, engine.ErrTooOld) {
		return "", fmt.Errorf("%s is longer ago than is kept", command.Moment(t))
	}
	return v, err
}

// mayRead says whether the caller may read a table.
func mayRead(ctx context.Context, tx *table.Tx, name string) error {
	return user.Check(tx, user.From(ctx), user.Read, user.Object{Kind: user.KindTable, Name: name})
}

// listTable lists rows of a table of the services, if the caller may read it.
func listTable[T any](ctx context.Context, s *system.System, t *table.Table[T], span table.Span, row func(T) error) error {
	return s.Store.View(ctx, func(tx *table.Tx) error {
		if err := mayRead(ctx, tx, t.Name()); err != nil {
			return err
		}
		for r, err := range t.Scan(tx, span) {
			if err == nil {
				err = row(r)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// keys lists the names of rows, for completion.
func keys[T any](t *table.Table[T], name func(*T) string) func(context.Context, *table.Tx) ([]string, error) {
	return func(ctx context.Context, tx *table.Tx) (found []string, err error) {
		if err := mayRead(ctx, tx, t.Name()); err != nil {
			return nil, err
		}
		for r, err := range t.Scan(tx, table.Span{}.Limit(1000)) {
			if err != nil {
				return nil, err
			}
			found = append(found, name(&r))
		}
		return found, nil
	}
}
