package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/term"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/apps/shell/command/system"
	"github.com/tuplix/tuplix/apps/shell/console"
	"github.com/tuplix/tuplix/apps/shell/session"
	"github.com/tuplix/tuplix/apps/shell/status"
	tuplix "github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/user"
)

// startFile is run when the machine starts, if it exists.
const startFile = "/etc/rc"

// flags are the program's own.
type flags struct {
	first bool // this is the first process of a machine
	page  string
	text  string
	texts bool // -c was given
	args  []string
}

func parseFlags() flags {
	f := flags{first: os.Getpid() == 1}
	flag.BoolVar(&f.first, "init", f.first, "be the console of a machine: say when ready, serve the page, run "+startFile)
	flag.StringVar(&f.page, "page", ":80", "with -init: where to serve the page about the machine; empty for nowhere")
	flag.Func("c", "run this text", func(s string) error { f.text, f.texts = s, true; return nil })
	flag.Parse()
	f.args = flag.Args()
	return f
}

func main() {
	f := parseFlags()
	code, err := run(f)
	if err != nil {
		fmt.Fprintf(os.Stderr, "shell: %v\n", err)
		code = max(code, command.StatusFailed)
	}
	os.Exit(code)
}

// run is the program.
func run(f flags) (code int, err error) {
	x := &seat{f: f, machine: here(), in: console.Input(), out: os.Stdout, interrupts: console.NewInterrupts()}
	scripted := f.texts || len(f.args) > 0
	x.interactive = !scripted && term.IsTerminal(0) && os.Getenv("TUPLIX_CONSOLE") != "pipe"
	if !x.interactive && !scripted {
		undo, loud := console.Silence(x.in) // before anything comes that would be echoed
		if loud != nil {
			fmt.Fprintf(os.Stderr, "shell: the console echoes its input: %v\n", loud)
		}
		defer func() { err = errors.Join(err, undo()) }()
	}
	dir, err := os.Getwd()
	if err != nil {
		dir = "/"
	}
	program := account{name: user.Root, dir: dir, env: environment()}
	s, err := x.session(program)
	if err != nil {
		return command.StatusFailed, err
	}
	login := false
	if f.first {
		login = x.start(s)
	}
	switch {
	case f.texts:
		return s.Text(f.text, x.interrupts.Foreground), nil
	case scripted:
		script, err := os.ReadFile(f.args[0])
		if err != nil {
			return command.StatusNotFound, err
		}
		return s.Text(string(script), x.interrupts.Foreground), nil
	case login:
		return x.logins()
	}
	return x.work(s)
}

// params are $1 and the following of the script.
func (f flags) params() []string {
	if f.texts || len(f.args) == 0 {
		return f.args
	}
	return f.args[1:]
}

// environment is that of the process, with what commands count on.
func environment() []string {
	env := os.Environ()
	for _, v := range [][2]string{{"HOME", "/"}, {"PATH", "/bin"}, {"SHELL", "/bin/sh"}} {
		if os.Getenv(v[0]) == "" {
			env = append(env, v[0]+"="+v[1])
		}
	}
	return slices.Clip(env)
}

// start is what the first process of a machine does before it takes commands. It
// reports whether who sits at the console has to log in.
func (x *seat) start(s *session.Session) (login bool) {
	if x.f.page != "" {
		l, err := net.Listen("tcp", x.f.page)
		if err != nil {
			fmt.Fprintf(os.Stderr, "shell: no page about the machine: %v\n", err)
		} else {
			go func() { fmt.Fprintf(os.Stderr, "shell: the page about the machine: %v\n", status.Serve(l)) }()
		}
	}
	boot, err := tuplix.BootOptions()
	if err != nil {
		fmt.Fprintf(os.Stderr, "shell: %v\n", err)
	}
	up, err := system.Uptime()
	fmt.Println(readyLine(up, err == nil, os.Getenv("TUPLIX_FORWARDS"), boot.Login))
	go x.machine.run(boot)
	script, err := os.ReadFile(startFile)
	if err == nil {
		s.Text(string(script), x.interrupts.Foreground)
	} else if !errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(os.Stderr, "shell: %v\n", err)
	}
	return boot.Login
}

// converse takes commands from a terminal. Where the machine ends with the shell, the
// end of the input is explained, and is none.
func converse(s *session.Session, editor *console.Editor, foreground func() (context.Context, func()), last bool) int {
	line := func(more bool) (string, error) {
		for {
			text, err := editor.Line(prompt(s, more))
			switch {
			case errors.Is(err, console.ErrInterrupted):
				err = session.ErrInterrupted
			case err == io.EOF && last:
				fmt.Println("poweroff switches the machine off, exit ends the shell and the machine with it")
				continue
			}
			return text, err
		}
	}
	return s.Run(session.Source{Line: line, Foreground: foreground})
}

// completer completes the words of a session, on behalf of its user. Names of files
// are for root only, who may see them all.
func completer(ctx context.Context, s *session.Session) console.Completer {
	return console.Completer{Words: s.Words, Dir: s.Dir, Arguments: func(words []string) []string {
		known := s.Arguments(ctx, words)
		if known == nil && user.From(ctx).User != user.Root {
			known = []string{}
		}
		return known
	}}
}

// prompt is the directory, behind the last status if that is not 0.
func prompt(s *session.Session, more bool) string {
	if more {
		return "> "
	}
	dir := s.Dir()
	if home := s.Getenv("HOME"); home != "/" && home == dir {
		dir = "~"
	}
	text := "\x1b[1m" + dir + "\x1b[0m $ "
	if code := s.Status(); code != 0 {
		text = fmt.Sprintf("\x1b[31m%d\x1b[0m ", code) + text
	}
	return text
}

// openHistory loads the history of a person; programs leave none.
func openHistory(interactive, first bool) (*console.History, error) {
	if !interactive {
		return new(console.History), nil
	}
	file := os.Getenv("HISTFILE")
	switch home, err := os.UserHomeDir(); {
	case file != "":
	case first || err != nil:
		file = "/var/lib/shell/history"
	default:
		file = filepath.Join(home, ".tuplix_history")
	}
	return console.LoadHistory(file)
}
