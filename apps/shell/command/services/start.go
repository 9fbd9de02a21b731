package services

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"mvdan.cc/sh/v3/syntax"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/task"
)

// Program is the task program that runs text of the shell's language.
const Program = "shell"

// maxOutput is how much of what a command prints is kept as its task's result, in
// bytes: the first half of it and the last.
const maxOutput = 64 << 10

// dirVariable carries the directory in which a task starts.
const dirVariable = "PWD"

// commandText is the words of a command as text for the shell.
func commandText(words []string) ([]byte, error) {
	var quoted []string
	for _, w := range words {
		q, err := syntax.Quote(w, syntax.LangBash)
		if err != nil {
			return nil, command.Usagef("%q: %v", w, err)
		}
		quoted = append(quoted, q)
	}
	return []byte(strings.Join(quoted, " ")), nil
}

func taskStart(open Open) *command.Command {
	return open.verb("start", "[-w] [-q queue] [-p program] [options] command [argument...]",
		"start a command of the shell as a task, which goes on when its starter has left",
		func(c *command.Call) (job, error) {
			o := c.Options()
			o.InOrder = true
			wait := o.Flag("w,wait", "wait for it, print what it printed, and end with its status")
			program := o.String("p,program", "NAME", Program, "another program; its input is the words that follow")
			queue := o.String("q,queue", "NAME", "", "wait in this queue, not the program's")
			priority := o.Int("priority", "N", 0, -128, "higher goes first")
			delay := o.String("delay", "TIME", "", "begin after so long: 90s, 2h")
			within := o.String("within", "TIME", "", "stop it after so long")
			attempts := o.Int("attempts", "N", 1, 1, "so many in all, if it fails")
			backoff := o.String("backoff", "TIME", "1s", "before the second attempt; each later pause is twice as long")
			key := o.String("key", "TEXT", "", "of your tasks with the same key there is only one")
			args, err := o.Parse(1, -1)
			if err != nil {
				return nil, err
			}
			r := task.Request{Program: *program, Queue: *queue, Priority: int8(min(*priority, 127)), Key: *key}
			r.Retry.Attempts = uint32(*attempts)
			if r.Args, err = commandText(args); *program != Program {
				r.Args, err = []byte(strings.Join(args, " ")), nil
			}
			deadline := time.Duration(0)
			err = errors.Join(err, span(&r.Delay, "--delay", *delay), span(&deadline, "--within", *within), span(&r.Retry.Backoff, "--backoff", *backoff))
			if deadline > 0 {
				r.Deadline = time.Now().Add(r.Delay + deadline)
			}
			r.Env = surroundings(c)
			return func(ctx context.Context, s *system.System) error { return startTask(ctx, c, s, r, *wait) }, err
		})
}

// span reads a time span, if there is one.
func span(to *time.Duration, option, text string) (err error) {
	if text == "" {
		return nil
	}
	if *to, err = time.ParseDuration(text); err != nil || *to < 0 {
		return command.Usagef("%s: %q is no time such as 90s or 2h", option, text)
	}
	return nil
}

// surroundings are the exported variables and the directory of a call.
func surroundings(c *command.Call) map[string]string {
	env := map[string]string{}
	for _, v := range c.Environ {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	env[dirVariable] = c.Dir
	return env
}

func startTask(ctx context.Context, c *command.Call, s *system.System, r task.Request, wait bool) error {
	id, err := s.Task.Submit(ctx, r)
	if err != nil {
		return err
	}
	if !wait {
		_, err = fmt.Fprintln(c.Out, id)
		return err
	}
	st, err := s.Task.Wait(ctx, id)
	if ctx.Err() != nil { // Ctrl-C is meant for what is waited for
		if err := s.Task.Cancel(context.WithoutCancel(ctx), id); err != nil && !errors.Is(err, task.ErrEnded) {
			c.Warn(err)
		}
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	return ended(c, &st)
}

// Runner runs text of the shell's language in a shell of its own, and returns its
// exit status.
type Runner func(ctx context.Context, text, dir string, env []string, output *Output) int

// Register makes Program known to the tasks of a system, and begins to run tasks
// with up to so many at a time, until the system is closed.
func Register(ctx context.Context, s *system.System, slots int, run Runner) error {
	row := task.Program{Name: Program, OnCrash: task.NotTwice, Doc: "a command of the shell; its result is what it prints"}
	err := s.Task.Register(ctx, row, func(c *task.Context) ([]byte, error) {
		var env []string
		for name, value := range c.Env {
			env = append(env, name+"="+value)
		}
		dir := c.Env[dirVariable]
		if dir == "" {
			dir = "/"
		}
		out := new(Output)
		ctx, span := s.Trace.Start(c, "task "+Program, slog.String("command", string(c.Args)))
		var err error
		if status := run(ctx, string(c.Args), dir, env, out); status != 0 {
			err = statusError(status)
		}
		span.End(err)
		return out.Bytes(), err
	})
	if err != nil {
		return err
	}
	go func() {
		if err := s.Task.Work(ctx, Program, slots); err != nil && !errors.Is(err, task.ErrClosed) {
			s.Say("no more tasks are run: %v", err)
		}
	}()
	return nil
}

// statusError is a command's exit status other than 0.
type statusError int

func (e statusError) Error() string   { return fmt.Sprintf("exit status %d", int(e)) }
func (e statusError) ExitStatus() int { return int(e) }

// Output keeps the beginning and the end of what is written to it. Its methods may
// be called concurrently.
type Output struct {
	mu   sync.Mutex
	head []byte
	tail []byte
	lost int
}

// Write never fails.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(len(p), maxOutput/2-len(o.head))
	o.head = append(o.head, p[:n]...)
	o.tail = append(o.tail, p[n:]...)
	if over := len(o.tail) - maxOutput/2; over > maxOutput { // not at each write
		o.cut(over)
	}
	return len(p), nil
}

func (o *Output) cut(n int) {
	o.lost += n
	o.tail = append(o.tail[:0], o.tail[n:]...)
}

// Bytes returns what was written, with a line in the place of what was too much.
func (o *Output) Bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if over := len(o.tail) - maxOutput/2; over > 0 {
		o.cut(over)
	}
	if o.lost == 0 {
		return bytes.Join([][]byte{o.head, o.tail}, nil)
	}
	gap := fmt.Appendf(nil, "\n[... %d bytes are left out ...]\n", o.lost)
	return bytes.Join([][]byte{o.head, gap, o.tail}, nil)
}
