package task_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/internal/transcript"
	"github.com/tuplix/tuplix/services/task"
	"github.com/tuplix/tuplix/services/user"
)

// TestTranscripts runs the procedures, at a clock that stands still between
// commands.
func TestTranscripts(t *testing.T) {
	transcript.Run(t, "testdata/*.transcript", func(t *testing.T) func(string) string {
		x := &script{t: t, ctx: context.Background(), fs: vfs.NewMem(), user: user.Root}
		x.clock.Store(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC).UnixMicro())
		x.open()
		t.Cleanup(func() { x.close() })
		return x.command
	})
}

type script struct {
	t     *testing.T
	ctx   context.Context
	fs    vfs.FS
	clock atomic.Int64
	user  string
	st    *store.Store
	s     *task.Service
}

func (x *script) now() time.Time { return time.UnixMicro(x.clock.Load()).UTC() }

func (x *script) open() {
	x.st = openStore(x.t, x.fs)
	var err error
	x.s, err = task.Open(x.ctx, x.st, task.Options{Machine: "here", Now: x.now, Log: func(format string, args ...any) {
		if !strings.Contains(format, "heard") {
			x.t.Logf(format, args...)
		}
	}})
	check(x.t, err)
}

func (x *script) close() {
	whole(x.t, x.st)
	x.s.Close()
	check(x.t, x.st.Close())
}

// command is "verb words... name=value...", after "as USER" perhaps.
func (x *script) command(line string) string {
	words := strings.Fields(line)
	ctx := x.ctx
	if words[0] == "as" {
		ctx = user.With(ctx, user.Caller{User: words[1], Program: "test"})
		words = words[2:]
	}
	var args []string
	options := map[string]string{}
	for _, w := range words[1:] {
		if name, value, ok := strings.Cut(w, "="); ok {
			options[name] = strings.ReplaceAll(value, "_", " ")
		} else {
			args = append(args, w)
		}
	}
	verb, ok := verbs[words[0]]
	if !ok {
		x.t.Fatalf("there is no command %q", words[0])
	}
	out, err := verb(x, ctx, args, options)
	if err != nil {
		return out + "error: " + err.Error() + "\n"
	}
	return out
}

type options map[string]string

func (o options) duration(name string) time.Duration {
	d, err := time.ParseDuration(o[name])
	if err != nil && o[name] != "" {
		panic(err)
	}
	return d
}

func (o options) number(name string) uint32 { return uint32(number(o[name])) }

func number(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil && text != "" {
		panic(err)
	}
	return n
}

var verbs = map[string]func(x *script, ctx context.Context, args []string, o options) (string, error){
	"program": func(x *script, ctx context.Context, args []string, o options) (string, error) {
		return "", x.s.Register(ctx, task.Program{Name: args[0], OnCrash: o["crash"], Queue: o["queue"]}, doing(o["do"]))
	},
	"queue": func(x *script, ctx context.Context, args []string, o options) (string, error) {
		rate, _ := strconv.ParseFloat(o["rate"], 64)
		return "", x.s.SetQueue(ctx, task.Queue{
			Name: args[0], Concurrency: o.number("concurrency"), Rate: rate, Burst: o.number("burst"),
			Weight: o.number("weight"), Paused: o["paused"] != "",
		})
	},
	"policy": func(x *script, ctx context.Context, args []string, _ options) (string, error) {
		return "", x.s.SetPolicy(ctx, strings.Join(args, " "))
	},
	"grant": func(x *script, ctx context.Context, args []string, _ options) (string, error) {
		_, err := x.st.Update(ctx, nil, func(tx *table.Tx) error {
			return user.Grants.Put(tx, &user.Grant{Principal: args[0], Right: user.Right(args[1]), Kind: user.Kind(args[2]), Object: args[3]})
		})
		return "", err
	},
	"submit": submit,
	"submit-all": func(x *script, ctx context.Context, args []string, o options) (string, error) {
		var list []task.Request
		for _, program := range args {
			list = append(list, task.Request{Program: program, Queue: o["queue"]})
		}
		ids, err := x.s.SubmitAll(ctx, list)
		return fmt.Sprintln("tasks", ids), err
	},
	"work":     workOff,
	"join":     join,
	"claim":    claim,
	"exchange": exchange,
	"leave": func(x *script, ctx context.Context, args []string, _ options) (string, error) {
		return "", x.s.Leave(ctx, number(args[0]))
	},
	"beat": func(x *script, ctx context.Context, args []string, _ options) (string, error) {
		stop, err := x.s.Heartbeat(ctx, number(args[0]))
		var out strings.Builder
		for _, t := range stop {
			fmt.Fprintln(&out, "stop", t)
		}
		return out.String(), err
	},
	"complete": func(x *script, ctx context.Context, args []string, o options) (string, error) {
		return "", x.s.Complete(ctx, token(args), []byte(o["value"]))
	},
	"fail": func(x *script, ctx context.Context, args []string, o options) (string, error) {
		err := errors.New(o["error"])
		if o["permanent"] != "" {
			err = task.Permanent(err)
		}
		return "", x.s.Fail(ctx, token(args), err)
	},
	"update": func(x *script, ctx context.Context, args []string, _ options) (string, error) {
		_, err := x.s.Update(ctx, token(args), nil, func(tx *table.Tx) error {
			return effects.Insert(tx, &effect{Task: number(args[0]), Run: number(args[1])})
		})
		return "", err
	},
	"cancel": func(x *script, ctx context.Context, args []string, _ options) (string, error) {
		return "", x.s.Cancel(ctx, number(args[0]))
	},
	"retry": func(x *script, ctx context.Context, args []string, _ options) (string, error) {
		return "", x.s.Retry(ctx, number(args[0]))
	},
	"get": func(x *script, ctx context.Context, args []string, _ options) (string, error) {
		st, err := x.s.Get(ctx, number(args[0]))
		return x.show(&st, err), err
	},
	"wait": func(x *script, ctx context.Context, args []string, _ options) (string, error) {
		st, err := x.s.Wait(ctx, number(args[0]))
		return x.show(&st, err), err
	},
	"list": list,
	"schedule": func(x *script, ctx context.Context, args []string, o options) (string, error) {
		return "", x.s.SetSchedule(ctx, task.Schedule{
			Name: args[0], Program: args[1], Cron: o["cron"], Zone: o["zone"], Queue: o["queue"],
			CatchUp: o["catchup"] != "", Paused: o["paused"] != "", Args: []byte(o["args"]),
		})
	},
	"unschedule": func(x *script, ctx context.Context, args []string, _ options) (string, error) {
		return "", x.s.DropSchedule(ctx, args[0])
	},
	"schedules": schedules,
	"advance": func(x *script, ctx context.Context, args []string, _ options) (string, error) {
		d, err := time.ParseDuration(args[0])
		check(x.t, err)
		x.clock.Add(d.Microseconds())
		return "", x.s.Tick(ctx)
	},
	"crash": func(x *script, _ context.Context, args []string, _ options) (string, error) {
		x.close()
		for _, a := range args {
			d, err := time.ParseDuration(a)
			check(x.t, err)
			x.clock.Add(d.Microseconds())
		}
		x.open()
		return "", x.s.Tick(x.ctx)
	},
	"forget": func(x *script, ctx context.Context, args []string, _ options) (string, error) {
		d, err := time.ParseDuration(args[0])
		check(x.t, err)
		n, err := x.s.Forget(ctx, x.now().Add(-d))
		return fmt.Sprintln(n, "forgotten"), err
	},
	"counts": counts,
}

func token(args []string) task.Token {
	return task.Token{Task: number(args[0]), Lease: number(args[1])}
}

// doing is a program that makes its effect in a transaction of its own (update), in
// the one that ends it (finish), or in none.
func doing(what string) task.Func {
	insert := func(c *task.Context) func(*table.Tx) error {
		return func(tx *table.Tx) error { return effects.Insert(tx, &effect{Task: c.Task.ID, Run: c.Task.Lease}) }
	}
	return map[string]task.Func{
		"": func(*task.Context) ([]byte, error) { return nil, nil },
		"update": func(c *task.Context) ([]byte, error) {
			_, err := c.Update("effect", insert(c))
			return []byte("updated"), err
		},
		"finish": func(c *task.Context) ([]byte, error) {
			return []byte("not this"), c.Finish("effect", []byte("finished"), insert(c))
		},
	}[what]
}

// workOff runs a worker until tasks have ended.
func workOff(x *script, ctx context.Context, args []string, _ options) (out string, err error) {
	working, stop := context.WithCancel(ctx)
	worked := make(chan error)
	go func() { worked <- x.s.Work(working, "worker", 1) }()
	for _, id := range args {
		st, failed := x.s.Wait(ctx, number(id))
		out += x.show(&st, failed)
		err = errors.Join(err, failed)
	}
	stop()
	return out, errors.Join(err, <-worked, x.st.View(ctx, func(tx *table.Tx) error {
		for e, err := range effects.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			out += fmt.Sprintln("effect of task", e.Task)
		}
		return nil
	}))
}

func submit(x *script, ctx context.Context, args []string, o options) (string, error) {
	priority, _ := strconv.Atoi(o["priority"])
	r := task.Request{
		Program: args[0], Queue: o["queue"], Args: []byte(o["args"]), Key: o["key"], Priority: int8(priority),
		Delay: o.duration("delay"), Place: o["place"],
		Retry: task.Retry{Attempts: o.number("attempts"), Backoff: o.duration("backoff"), Longest: o.duration("longest")},
	}
	if d := o.duration("deadline"); d > 0 {
		r.Deadline = x.now().Add(d)
	}
	if o["tx"] == "" {
		id, err := x.s.Submit(ctx, r)
		if err != nil {
			return "", err
		}
		return fmt.Sprintln("task", id), nil
	}
	var id uint64
	_, err := x.st.Update(ctx, nil, func(tx *table.Tx) (err error) {
		if id, err = x.s.In(tx).Submit(user.From(ctx), r); err == nil && o["tx"] == "abort" {
			err = errors.New("aborted")
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintln("task", id), nil
}

func join(x *script, ctx context.Context, args []string, o options) (string, error) {
	id, err := x.s.Join(ctx, args[0], int(number(args[1])), args[2:]...)
	if err != nil {
		return "", err
	}
	if place := o["machine"]; place != "" {
		_, err = x.st.Update(ctx, nil, func(tx *table.Tx) error {
			w, err := task.Workers.Get(tx, id)
			w.Machine = place
			return errors.Join(err, task.Workers.Put(tx, &w))
		})
	}
	return fmt.Sprintln("worker", id), err
}

func claim(x *script, ctx context.Context, args []string, o options) (string, error) {
	take := x.s.TryClaim
	if o["wait"] != "" {
		take = x.s.Claim
	}
	got, err := take(ctx, number(args[0]), int(number(args[1])))
	return showClaimed(got), err
}

func showClaimed(got []task.Claimed) string {
	var out strings.Builder
	for _, c := range got {
		fmt.Fprintf(&out, "task %d, lease %d, attempt %d, %s of %s", c.Task.ID, c.Task.Lease, c.Task.Attempt, c.Task.Program, c.Task.Queue)
		if len(c.Args) > 0 {
			fmt.Fprintf(&out, ", args %q", c.Args)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// exchange WORKER N TASK LEASE TASK LEASE...
func exchange(x *script, ctx context.Context, args []string, _ options) (string, error) {
	var ends []*task.Outcome
	for pair := range slices.Chunk(args[2:], 2) {
		ends = append(ends, &task.Outcome{Token: token(pair)})
	}
	got, err := x.s.Exchange(ctx, number(args[0]), ends, int(number(args[1])))
	var out strings.Builder
	for _, o := range ends {
		if o.Err != nil {
			fmt.Fprintln(&out, o.Err)
		}
	}
	return out.String() + showClaimed(got), err
}

func (x *script) show(st *task.Status, err error) string {
	if err != nil {
		return ""
	}
	var out strings.Builder
	fmt.Fprintf(&out, "task %d: %s, attempt %d, status %d", st.ID, st.State, st.Attempt, st.Task.Status)
	if st.State == task.Delayed {
		fmt.Fprintf(&out, ", due in %v", st.Due.Sub(x.now()))
	}
	if st.Busy > 0 {
		fmt.Fprintf(&out, ", ran for %v", st.Busy)
	}
	if len(st.Value) > 0 {
		fmt.Fprintf(&out, ", value %q", st.Value)
	}
	if st.Failure != "" {
		fmt.Fprintf(&out, ", failure %q", st.Failure)
	}
	out.WriteByte('\n')
	return out.String()
}

func list(x *script, ctx context.Context, _ []string, o options) (string, error) {
	q := task.Query{Queue: o["queue"], User: o["user"], Parent: number(o["parent"]), Limit: int(o.number("limit"))}
	if o["state"] != "" {
		q.States = []task.State{task.State(o["state"])}
	}
	var out strings.Builder
	for t, err := range x.s.List(ctx, q) {
		if err != nil {
			return out.String(), err
		}
		fmt.Fprintf(&out, "task %d: %s, %s of %s, user %s\n", t.ID, t.State, t.Program, t.Queue, t.User)
	}
	return out.String(), nil
}

func schedules(x *script, ctx context.Context, _ []string, _ options) (out string, err error) {
	err = x.st.View(ctx, func(tx *table.Tx) error {
		for sc, err := range task.Schedules.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			out += fmt.Sprintf("%s: %s, last task %d", sc.Name, sc.Cron, sc.Task)
			if sc.Next.Valid {
				out += ", next " + sc.Next.V.Format(time.DateTime)
			}
			out += "\n"
		}
		return nil
	})
	return out, err
}

// counts shows the tables that should not grow.
func counts(x *script, ctx context.Context, _ []string, _ options) (string, error) {
	n := map[string]int{}
	err := x.st.View(ctx, func(tx *table.Tx) error {
		for _, name := range []string{"os.ready", "os.timers", "os.leases", "os.loads", "os.workers"} {
			rows, err := tx.Rows(name)
			if err != nil {
				return err
			}
			for _, err := range rows.Scan("", table.Span{}) {
				if err != nil {
					return err
				}
				n[name]++
			}
		}
		return nil
	})
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(n)) {
		fmt.Fprintf(&out, "%s: %d rows\n", name, n[name])
	}
	return out.String(), err
}
