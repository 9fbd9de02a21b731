package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/apps/shell/console"
	"github.com/tuplix/tuplix/apps/shell/session"
	"github.com/tuplix/tuplix/services/ssh"
	"github.com/tuplix/tuplix/services/user"
)

// remote is the shell of a user who was let in by SSH: on a terminal, with a command,
// or both. It returns the exit status.
func (m *machine) remote(ctx context.Context, x *ssh.Session) int {
	s, err := m.open(ctx)
	var a account
	if err == nil {
		a, err = userAccount(ctx, s, user.From(ctx).User, x.Env...)
	}
	if err != nil {
		fmt.Fprintf(x.Err, "shell: %v\n", err)
		return command.StatusFailed
	}
	visit := &visit{machine: m, account: a, x: x, interrupts: console.InterruptsOf(ctx)}
	stop := context.AfterFunc(ctx, visit.interrupts.Interrupt)
	defer stop()
	status, err := visit.run(ctx)
	if err != nil {
		fmt.Fprintf(x.Err, "shell: %v\n", err)
		status = max(status, command.StatusFailed)
	}
	return status
}

// visit is a user's shell at the other end of a connection.
type visit struct {
	machine    *machine
	account    account
	x          *ssh.Session
	interrupts *console.Interrupts
}

func (v *visit) run(ctx context.Context) (int, error) {
	if v.x.Terminal {
		return v.terminal(ctx)
	}
	v.x.Notify(nil, v.interrupts.Interrupt)
	in, w, err := os.Pipe()
	if err != nil {
		return command.StatusFailed, err
	}
	defer in.Close() // nobody reads any more
	go func() {
		_, _ = io.Copy(w, v.x.In) // what nobody reads, or a connection that ends, is no error here
		w.Close()
	}()
	s, err := v.session(session.Options{Stdin: in, Stdout: v.x.Out, Stderr: v.x.Err})
	if err != nil {
		return command.StatusFailed, err
	}
	if v.x.Command != "" {
		return s.Text(v.x.Command, v.interrupts.Foreground), nil
	}
	return s.Run(session.Source{Line: console.PlainLines(in), Foreground: v.interrupts.Foreground}), nil
}

func (v *visit) session(o session.Options) (*session.Session, error) {
	o.Env, o.Dir, o.Allow, o.FilesAsk = v.account.env, v.account.dir, v.machine.allow, user.Asked()
	history := new(console.History)
	return session.New(o, v.machine.commands(historyCommand(history))...)
}

// terminal is the shell of a person.
func (v *visit) terminal(ctx context.Context) (int, error) {
	t := console.NewRemote(struct {
		io.Reader
		io.Writer
	}{v.x.In, v.x.Out}, v.interrupts.Interrupt)
	t.Resize(v.x.Size())
	v.x.Notify(t.Resize, v.interrupts.Interrupt)
	null, err := os.Open(os.DevNull)
	if err != nil {
		return command.StatusFailed, err
	}
	defer null.Close() // nothing is read from it
	s, err := v.session(session.Options{Stdin: null, Stdout: t, Stderr: t, Interactive: true, Hide: t.Hide})
	if err != nil {
		return command.StatusFailed, err
	}
	foreground := func() (context.Context, func()) { return v.foreground(t, s) }
	if v.x.Command != "" {
		return s.Text(v.x.Command, foreground), nil
	}
	return converse(s, t.NewEditor(new(console.History), completer(ctx, s)), foreground, false), nil
}

// foreground gives the next line of commands its context, and what is typed.
func (v *visit) foreground(t *console.Remote, s *session.Session) (context.Context, func()) {
	ctx, done := v.interrupts.Foreground()
	in, end, err := t.Begin()
	if err == nil {
		err = s.SetStdin(in)
	}
	if err != nil {
		fmt.Fprintf(t, "shell: what is typed does not reach commands: %v\n", err)
		return ctx, done
	}
	return ctx, func() {
		done()
		if err := end(); err != nil {
			fmt.Fprintf(t, "shell: %v\n", err)
		}
	}
}
