package services

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/task"
)

func tasks(open Open) *command.Command {
	return command.Group("task", "start programs as tasks, see them, stop them, and wait for them",
		taskList(open), taskShow(open), taskStart(open), taskWait(open), taskStop(open), taskRetry(open), taskForget(open),
		taskPrograms(open), taskQueues(open), taskQueue(open), taskWorkers(open),
		taskSchedules(open), taskSchedule(open), taskUnschedule(open), taskPolicy(open))
}

func taskList(open Open) *command.Command {
	return open.verb("list", "[-a] [-q queue] [-s state]... [-u user] [-n count] [--json]", "list tasks, the newest first",
		func(c *command.Call) (job, error) {
			o := c.Options()
			all := o.Flag("a,all", "those that have ended too")
			queue := o.String("q,queue", "NAME", "", "only those of a queue")
			states := o.Strings("s,state", "STATE", "only those that are "+stateNames)
			by := o.String("u,user", "NAME", "", "only those of a user")
			limit := o.Int("n,limit", "N", 100, 0, "at most so many, 100 if not told; 0: all")
			json := o.Flag("json", jsonHelp)
			_, err := o.Parse(0, 0)
			q := task.Query{Queue: *queue, User: *by, Limit: *limit}
			for _, s := range *states {
				q.States = append(q.States, task.State(s))
			}
			if len(q.States) == 0 && !*all {
				q.States = []task.State{task.Delayed, task.Waiting, task.Running, task.Stopping}
			}
			return func(ctx context.Context, s *system.System) error { return listTasks(ctx, c, s, q, *json) }, err
		})
}

const stateNames = "delayed, ready, running, stopping, done, failed, canceled or lost"

func listTasks(ctx context.Context, c *command.Call, s *system.System, q task.Query, json bool) error {
	list := c.List(json, "task", "state", "program", "queue", "user", "status", "submitted", "ended")
	for t, err := range s.Task.List(ctx, q) {
		if err != nil {
			return errors.Join(err, list.End())
		}
		var status any
		if t.State.Ended() {
			status = t.Status
		}
		if err := list.Row(t.ID, t.State, t.Program, t.Queue, t.User, status, t.Submitted, t.Ended.V); err != nil {
			return err
		}
	}
	return list.End()
}

// number makes a verb that takes one task.
func (open Open) number(name, summary string, do func(ctx context.Context, c *command.Call, s *system.System, id uint64) error) *command.Command {
	return open.verb(name, "task", summary, func(c *command.Call) (job, error) {
		args, err := c.Options().Parse(1, 1)
		if err != nil {
			return nil, err
		}
		id, err := taskID(args[0])
		return func(ctx context.Context, s *system.System) error { return do(ctx, c, s, id) }, err
	})
}

func taskID(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, command.Usagef("%q is not the number of a task; task list -a shows them", text)
	}
	return id, nil
}

func taskShow(open Open) *command.Command {
	return open.verb("show", "[--json] task", "tell all about one task, with what it printed", func(c *command.Call) (job, error) {
		o := c.Options()
		json := o.Flag("json", jsonHelp)
		args, err := o.Parse(1, 1)
		if err != nil {
			return nil, err
		}
		id, err := taskID(args[0])
		return func(ctx context.Context, s *system.System) error {
			st, err := s.Task.Get(ctx, id)
			if err != nil {
				return err
			}
			return showTask(c, &st, *json)
		}, err
	})
}

func showTask(c *command.Call, st *task.Status, json bool) error {
	names := []string{"task", "state", "program", "queue", "user", "priority", "parent", "attempt", "status", "submitted", "due",
		"started", "ended", "deadline", "busy", "transactions", "error", "stack", "result"}
	values := []any{st.ID, st.State, st.Program, st.Queue, st.User, st.Priority, st.Parent, st.Attempt, st.Status, st.Submitted, st.Due,
		st.Started.V, st.Ended.V, st.Deadline.V, st.Busy, st.Commits, st.Failure, st.Stack, st.Value}
	if json {
		return command.JSONLine(c.Out, names, values)
	}
	for i, name := range names[:len(names)-2] {
		switch v := values[i].(type) {
		case time.Time:
			if v.IsZero() {
				continue
			}
		case string:
			if v == "" {
				continue
			}
		}
		if _, err := fmt.Fprintf(c.Out, "%-12s  %s\n", name, command.Cell(values[i])); err != nil {
			return err
		}
	}
	if st.Stack != "" {
		fmt.Fprintf(c.Out, "stack:\n%s\n", st.Stack)
	}
	return printResult(c, st)
}

func taskWait(open Open) *command.Command {
	return open.number("wait", "wait until a task has ended, print what it printed, and end with its status",
		func(ctx context.Context, c *command.Call, s *system.System, id uint64) error {
			st, err := s.Task.Wait(ctx, id)
			if err != nil {
				return err
			}
			return ended(c, &st)
		})
}

// ended prints what came out of a task and returns its status.
func ended(c *command.Call, st *task.Status) error {
	if err := printResult(c, st); err != nil {
		return err
	}
	if st.State == task.Done {
		return nil
	}
	reason := ""
	if st.Failure != "" {
		reason = ": " + st.Failure
	}
	c.Warn(fmt.Errorf("task %d: %s%s", st.ID, st.State, reason))
	if st.Status > 0 && st.Status < 256 {
		return command.Exit(st.Status)
	}
	return command.Exit(command.StatusFailed)
}

func printResult(c *command.Call, st *task.Status) error {
	if len(st.Value) == 0 {
		return nil
	}
	_, err := c.Out.Write(st.Value)
	if err == nil && st.Value[len(st.Value)-1] != '\n' {
		_, err = fmt.Fprintln(c.Out)
	}
	return err
}

func taskStop(open Open) *command.Command {
	return open.number("stop", "stop a task: one that runs has ten seconds to end",
		func(ctx context.Context, _ *command.Call, s *system.System, id uint64) error {
			return s.Task.Cancel(ctx, id)
		})
}

func taskRetry(open Open) *command.Command {
	return open.number("retry", "run a task that has ended once more",
		func(ctx context.Context, _ *command.Call, s *system.System, id uint64) error {
			return s.Task.Retry(ctx, id)
		})
}

func taskForget(open Open) *command.Command {
	return open.verb("forget", "time", "remove tasks that ended before a time", func(c *command.Call) (job, error) {
		o := c.Options()
		o.InOrder = true
		text := o.String("before", "TIME", "", pastHelp)
		_, err := o.Parse(0, 0)
		if err == nil && *text == "" {
			err = command.Usagef("--before says which")
		}
		if err != nil {
			return nil, err
		}
		before, err := pastTime("--before", *text)
		return func(ctx context.Context, s *system.System) error {
			n, err := s.Task.Forget(ctx, before)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.Out, "%d tasks\n", n)
			return err
		}, err
	})
}

// listed makes a verb that lists a table.
func listed[T any](open Open, name, summary string, t *table.Table[T], columns []string, row func(*T) []any) *command.Command {
	return open.verb(name, "[--json]", summary, func(c *command.Call) (job, error) {
		o := c.Options()
		json := o.Flag("json", jsonHelp)
		_, err := o.Parse(0, 0)
		return func(ctx context.Context, s *system.System) error {
			list := c.List(*json, columns...)
			err := listTable(ctx, s, t, table.Span{}, func(r T) error { return list.Row(row(&r)...) })
			return errors.Join(err, list.End())
		}, err
	})
}

func taskPrograms(open Open) *command.Command {
	return listed(open, "programs", "list what tasks can run", task.Programs, []string{"program", "queue", "on_crash", "what"},
		func(p *task.Program) []any { return []any{p.Name, p.Queue, p.OnCrash, p.Doc} })
}

func taskWorkers(open Open) *command.Command {
	return listed(open, "workers", "list who runs tasks", task.Workers, []string{"worker", "name", "machine", "user", "running", "slots", "begun"},
		func(w *task.Worker) []any { return []any{w.ID, w.Name, w.Machine, w.User, w.Running, w.Slots, w.Begun} })
}
