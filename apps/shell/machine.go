package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/apps/shell/command/files"
	"github.com/tuplix/tuplix/apps/shell/command/network"
	"github.com/tuplix/tuplix/apps/shell/command/services"
	"github.com/tuplix/tuplix/apps/shell/command/system"
	"github.com/tuplix/tuplix/apps/shell/command/text"
	"github.com/tuplix/tuplix/apps/shell/session"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	tuplix "github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/user"
)

// taskSlots is how many commands run as tasks at a time.
const taskSlots = 8

// machine is the services of the machine, which are opened once.
type machine struct {
	start services.Open // opens them

	mu     sync.Mutex
	system *tuplix.System
}

// here is the machine that the program runs on.
func here() *machine { return &machine{start: tuplix.OpenHere} }

// open returns the services, and opens them if nobody has yet. What failed is tried
// again by the next who asks.
func (m *machine) open(context.Context) (*tuplix.System, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.system != nil {
		return m.system, nil
	}
	ctx := context.Background() // they outlive the command that needs them first
	s, err := m.start(ctx)
	if err != nil {
		return nil, err
	}
	if err := services.Register(ctx, s, taskSlots, m.runTask); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	m.system = s
	return s, nil
}

// run has the services work from the start of the machine on: they record what is
// logged, take samples, run tasks at their times, and let users in.
func (m *machine) run(boot tuplix.Boot) {
	s, err := m.open(context.Background())
	if errors.Is(err, store.ErrNone) {
		return // on Linux
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "shell: the services of the system: %v\n", err)
		return
	}
	slog.SetDefault(slog.New(s.Log.Handler()))
	s.LetIn(m.remote)
	if boot.Root != (user.Bootstrap{}) {
		if _, err := s.User.FirstBoot(context.Background(), boot.Root); err != nil {
			fmt.Fprintf(os.Stderr, "shell: the first boot lets nobody in: %v\n", err)
		}
	}
}

// commands are all that a shell of this machine knows, and some of its own.
func (m *machine) commands(own ...*command.Command) [][]*command.Command {
	return [][]*command.Command{
		files.Commands(), text.Commands(), system.Commands(), network.Commands(), services.Commands(m.open), own,
	}
}

// runTask runs a command as a task.
func (m *machine) runTask(ctx context.Context, text, dir string, env []string, out *services.Output) int {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return command.StatusFailed
	}
	defer null.Close() // nothing is read from it
	s, err := session.New(session.Options{Stdin: null, Stdout: out, Stderr: out, Dir: dir, Env: env, Allow: m.allow, FilesAsk: user.Asked()}, m.commands()...)
	if err != nil {
		_, _ = bytes.NewBufferString(err.Error() + "\n").WriteTo(out)
		return command.StatusFailed
	}
	return s.Text(text, func() (context.Context, func()) { return ctx, func() {} })
}

// allow says whether the caller of ctx has a right.
func (m *machine) allow(ctx context.Context, right user.Right, object user.Object) error {
	caller := user.From(ctx)
	if caller.User == user.Root {
		return nil
	}
	s, err := m.open(ctx)
	if err != nil {
		return err
	}
	return s.Store.View(ctx, func(tx *table.Tx) error {
		return user.Check(tx, caller, right, object)
	})
}
