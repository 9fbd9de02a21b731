package services

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/task"
)

func taskQueues(open Open) *command.Command {
	return listed(open, "queues", "list the queues in which tasks wait", task.Queues,
		[]string{"queue", "concurrency", "rate", "burst", "weight", "paused", "what"},
		func(q *task.Queue) []any {
			return []any{q.Name, limit(q.Concurrency), limit(q.Rate), q.Burst, q.Weight, q.Paused, q.Doc}
		})
}

// limit is a number of which 0 is none.
func limit[N uint32 | float64](n N) any {
	if n == 0 {
		return nil
	}
	return n
}

// taskQueue makes a queue, or changes what is named of one.
func taskQueue(open Open) *command.Command {
	cmd := open.verb("queue", "[-c count] [-r rate] [-w weight] [--pause | --resume] [-d text] name", "make a queue, or change one; what is not named stays",
		func(c *command.Call) (job, error) {
			o := c.Options()
			concurrency := o.Int("c,concurrency", "N", -1, 0, "the most tasks that run at a time; 0: no limit")
			rate := o.String("r,rate", "N", "", "the most tasks that begin in a second; 0: no limit")
			burst := o.Int("b,burst", "N", -1, 1, "how many may begin at once after a pause, if there is a rate")
			weight := o.Int("w,weight", "N", -1, 1, "its part where queues share workers")
			pause := o.Flag("pause", "begin none of its tasks")
			resume := o.Flag("resume", "begin them again")
			doc := o.String("d,doc", "TEXT", "", "what it is for")
			names, err := o.Parse(1, 1)
			if err == nil && *pause && *resume {
				err = command.Usagef("--pause and --resume contradict each other")
			}
			per := -1.0
			if *rate != "" && err == nil {
				if per, err = strconv.ParseFloat(*rate, 64); err != nil || !(per >= 0) {
					err = command.Usagef("--rate: %q is no number of tasks a second", *rate)
				}
			}
			return func(ctx context.Context, s *system.System) error {
				q, err := queueRow(ctx, s, names[0])
				if err != nil {
					return err
				}
				set(&q.Concurrency, *concurrency)
				set(&q.Burst, *burst)
				set(&q.Weight, *weight)
				if per >= 0 {
					q.Rate = per
				}
				if *doc != "" {
					q.Doc = *doc
				}
				q.Paused = *pause || q.Paused && !*resume
				return s.Task.SetQueue(ctx, q)
			}, err
		})
	return open.completed(cmd, keys(task.Queues, func(q *task.Queue) string { return q.Name }))
}

func set(to *uint32, n int) {
	if n >= 0 {
		*to = uint32(n)
	}
}

// queueRow is what a queue is, or will be if there is none yet.
func queueRow(ctx context.Context, s *system.System, name string) (q task.Queue, err error) {
	err = s.Store.View(ctx, func(tx *table.Tx) error {
		q, err = task.Queues.Get(tx, name)
		if errors.Is(err, table.ErrNotFound) {
			q, err = task.Queue{Name: name, Weight: 1}, nil
		}
		return err
	})
	return q, err
}

func taskSchedules(open Open) *command.Command {
	return listed(open, "schedules", "list what is started at times", task.Schedules,
		[]string{"schedule", "cron", "program", "what", "user", "paused", "next", "last", "task"},
		func(s *task.Schedule) []any {
			return []any{s.Name, s.Cron, s.Program, s.Args, s.User, s.Paused, s.Next.V, s.Last.V, s.Task}
		})
}

func taskSchedule(open Open) *command.Command {
	return open.verb("schedule", "[--catch-up] [--zone name] name cron command [argument...]",
		"start a command at times: task schedule backup '0 3 * * *' sync", func(c *command.Call) (job, error) {
			o := c.Options()
			o.InOrder = true
			catchUp := o.Flag("catch-up", "make up for times at which the machine was down")
			zone := o.String("z,zone", "NAME", "", "the time zone, as Europe/Berlin; UTC if not told")
			args, err := o.Parse(3, -1)
			return func(ctx context.Context, s *system.System) error {
				row := task.Schedule{Name: args[0], Cron: args[1], Zone: *zone, Program: Program, CatchUp: *catchUp}
				row.Args, err = commandText(args[2:])
				if err != nil {
					return err
				}
				return s.Task.SetSchedule(ctx, row)
			}, err
		})
}

func taskUnschedule(open Open) *command.Command {
	cmd := open.verb("unschedule", "name", "remove a schedule; tasks that it started stay", func(c *command.Call) (job, error) {
		args, err := c.Options().Parse(1, 1)
		return func(ctx context.Context, s *system.System) error { return s.Task.DropSchedule(ctx, args[0]) }, err
	})
	return open.completed(cmd, keys(task.Schedules, func(s *task.Schedule) string { return s.Name }))
}

func taskPolicy(open Open) *command.Command {
	return open.verb("policy", "[order]", "print or set which task goes first: 'priority desc, due'", func(c *command.Call) (job, error) {
		args, err := c.Options().Parse(0, 1)
		return func(ctx context.Context, s *system.System) error {
			if len(args) == 1 {
				return s.Task.SetPolicy(ctx, args[0])
			}
			return listTable(ctx, s, task.Policies, table.Span{}, func(p task.Policy) error {
				_, err := fmt.Fprintln(c.Out, p.Order)
				return err
			})
		}, err
	})
}
