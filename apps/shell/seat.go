package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/apps/shell/console"
	"github.com/tuplix/tuplix/apps/shell/session"
	tuplix "github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/user"
)

// seat is the console of a machine, or of a process of Linux: one person at a time
// sits there, or a program writes to it.
type seat struct {
	f           flags
	machine     *machine
	in          *os.File
	out         io.Writer
	interactive bool
	guest       bool // who sits here has logged in, and will log out
	interrupts  *console.Interrupts
	history     *console.History // of the latest session
}

// account is whom a shell works for.
type account struct {
	name string
	dir  string
	env  []string
}

// userAccount is that of a user who has logged in. Their directory is made if there is
// none.
func userAccount(ctx context.Context, s *tuplix.System, name string, env ...string) (account, error) {
	u, err := s.User.Lookup(ctx, name)
	if err != nil {
		return account{}, err
	}
	a := account{name: name, dir: u.Home}
	// The directories above are not the user's to make.
	user.Do(ctx, user.Caller{User: user.Root, Program: "shell"}, func(context.Context) {
		err = os.MkdirAll(u.Home, 0o700)
	})
	if err != nil {
		a.dir = "/"
	}
	a.env = append(environment(), env...)
	a.env = append(a.env, "HOME="+a.dir, "USER="+name, "LOGNAME="+name)
	return a, nil
}

// session is a new shell at the console.
func (x *seat) session(a account) (*session.Session, error) {
	o := session.Options{
		Stdin: x.in, Stdout: x.out, Stderr: os.Stderr, Env: a.env, Dir: a.dir,
		Params: x.f.params(), Interactive: x.interactive, Allow: x.machine.allow, FilesAsk: user.Asked(),
	}
	if x.interactive {
		o.Hide = x.hide
	}
	history, err := openHistory(x.interactive && a.name == user.Root, x.f.first)
	if err != nil {
		fmt.Fprintf(os.Stderr, "shell: the history is not kept: %v\n", err)
	}
	x.history = history
	return session.New(o, x.machine.commands(historyCommand(history))...)
}

// hide stops the console from showing what is typed.
func (x *seat) hide() (show func() error, err error) { return console.Silence(x.in) }

// work takes commands until the shell ends.
func (x *seat) work(s *session.Session) (int, error) {
	if !x.interactive {
		return s.Run(session.Source{Line: console.PlainLines(x.in), Foreground: x.interrupts.Foreground}), nil
	}
	editor := console.NewEditor(x.in, os.Stdout, x.history, completer(x.interrupts.Base(), s))
	return converse(s, editor, x.interrupts.Foreground, x.f.first && !x.guest), nil
}

// firstBootRetry is how long after an error who knows keys is asked again.
const firstBootRetry = 10 * time.Second

// logins lets one user after another work at the console. It returns when its input
// ends, or nobody could log in.
func (x *seat) logins() (int, error) {
	ctx := context.Background()
	s, err := x.machine.open(ctx)
	if err != nil {
		return command.StatusFailed, fmt.Errorf("nobody can log in, as the services do not start: %w; login=none on the boot's command line makes who sits here root", err)
	}
	boot, err := tuplix.BootOptions()
	if err != nil {
		boot.Root = user.Bootstrap{} // start has said why
	}
	once, err := s.User.FirstBoot(ctx, boot.Root)
	for err != nil && boot.Root.Source != nil { // which may answer yet
		fmt.Fprintf(x.out, "The first boot lets nobody in yet: %v\n", err)
		time.Sleep(firstBootRetry)
		once, err = s.User.FirstBoot(ctx, boot.Root)
	}
	if err != nil {
		return command.StatusFailed, fmt.Errorf("the first boot lets nobody in: %w", err)
	}
	if once != "" {
		fmt.Fprintf(x.out, "Nobody can log in yet. Log in as root with this password, which works once: %s\n", once)
	}
	for {
		name, err := x.login(ctx, s)
		if err == io.EOF {
			return 0, nil
		}
		if err != nil {
			return command.StatusFailed, err
		}
		if err := x.visit(ctx, s, name); err != nil {
			fmt.Fprintf(x.out, "login: %v\n", err)
		}
	}
}

// login asks who is there until somebody proves it.
func (x *seat) login(ctx context.Context, s *tuplix.System) (name string, err error) {
	for {
		name, err := x.ask("login: ")
		if err != nil {
			return "", err
		}
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		password, err := x.secret("password: ")
		if err != nil {
			return "", err
		}
		err = s.User.CheckPassword(ctx, name, password)
		if err == nil {
			return name, nil
		}
		fmt.Fprintf(x.out, "login: %v\n", err)
		if !errors.Is(err, user.ErrLogin) && !errors.Is(err, user.ErrTooSoon) {
			return "", err
		}
	}
}

// ask reads a line.
func (x *seat) ask(question string) (string, error) {
	if _, err := io.WriteString(x.out, question); err != nil {
		return "", err
	}
	line, err := console.PlainLines(x.in)(false)
	if line != "" && err == io.EOF {
		err = nil
	}
	return strings.TrimSuffix(line, "\n"), err
}

// secret reads a line that is not shown.
func (x *seat) secret(question string) (line string, err error) {
	show := func() error { return nil }
	if x.interactive {
		if show, err = x.hide(); err != nil {
			return "", err
		}
	}
	line, err = x.ask(question)
	fmt.Fprintln(x.out)
	return line, errors.Join(err, show())
}

// visit is a user's time at the console.
func (x *seat) visit(ctx context.Context, s *tuplix.System, name string) error {
	row, _, err := s.User.StartSession(ctx, name, "console", "console")
	if err != nil {
		return err
	}
	caller := user.Caller{User: name, Program: "console"}
	ctx = user.With(ctx, caller)
	defer func() {
		err := s.User.EndSession(user.With(ctx, user.Caller{User: user.Root, Program: "console"}), row.ID)
		if err != nil && !errors.Is(err, user.ErrSession) {
			fmt.Fprintf(x.out, "login: %v\n", err)
		}
	}()
	if err := x.offerPassword(ctx, s, name); err != nil {
		return err
	}
	a, err := userAccount(ctx, s, name)
	if err != nil {
		return err
	}
	shell, err := x.session(a)
	if err != nil {
		return err
	}
	x.guest = true
	user.Do(ctx, caller, func(ctx context.Context) {
		x.interrupts.Act(ctx)
		defer x.interrupts.Act(context.Background())
		_, err = x.work(shell)
	})
	return err
}

// offerPassword asks who logged in by a password for one use for another one. It goes
// on without, if they want none.
func (x *seat) offerPassword(ctx context.Context, s *tuplix.System, name string) error {
	u, err := s.User.Lookup(ctx, name)
	if err != nil || u.Password {
		return err
	}
	fmt.Fprintln(x.out, "That password does not work again.")
	if !x.interactive {
		fmt.Fprintln(x.out, "Set one by passwd.")
		return nil
	}
	for {
		password, err := x.secret("new password (empty: none, passwd sets one later): ")
		if err != nil || password == "" {
			return err
		}
		again, err := x.secret("once more: ")
		if err != nil {
			return err
		}
		if again != password {
			err = errors.New("the two differ")
		} else if err = s.User.SetPassword(ctx, name, password); err == nil {
			return nil
		}
		fmt.Fprintf(x.out, "login: %v\n", err)
	}
}
