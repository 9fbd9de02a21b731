package main

import (
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
	in := console.Input()
	scripted := f.texts || len(f.args) > 0
	interactive := !scripted && term.IsTerminal(0) && os.Getenv("TUPLIX_CONSOLE") != "pipe"
	if !interactive && !scripted {
		undo, loud := console.Silence(in) // before anything comes that would be echoed
		if loud != nil {
			fmt.Fprintf(os.Stderr, "shell: the console echoes its input: %v\n", loud)
		}
		defer func() { err = errors.Join(err, undo()) }()
	}
	machine := here()
	history, historyErr := openHistory(interactive, f.first)
	dir, err := os.Getwd()
	if err != nil {
		dir = "/"
	}
	s, err := session.New(session.Options{
		Stdin: in, Stdout: os.Stdout, Stderr: os.Stderr, Env: environment(), Dir: dir,
		Params: f.params(), Interactive: interactive, Allow: machine.allow,
	}, machine.commands(historyCommand(history))...)
	if err != nil {
		return command.StatusFailed, err
	}
	interrupts := console.NewInterrupts()
	if f.first {
		start(s, f, interrupts)
	}
	if historyErr != nil {
		fmt.Fprintf(os.Stderr, "shell: the history is not kept: %v\n", historyErr)
	}
	switch {
	case f.texts:
		return s.Text(f.text, interrupts.Foreground), nil
	case scripted:
		script, err := os.ReadFile(f.args[0])
		if err != nil {
			return command.StatusNotFound, err
		}
		return s.Text(string(script), interrupts.Foreground), nil
	case interactive:
		return converse(s, in, history, interrupts, f.first)
	}
	return s.Run(session.Source{Line: console.PlainLines(in), Foreground: interrupts.Foreground}), nil
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

// start is what the first process of a machine does before it takes commands.
func start(s *session.Session, f flags, interrupts *console.Interrupts) {
	if f.page != "" {
		l, err := net.Listen("tcp", f.page)
		if err != nil {
			fmt.Fprintf(os.Stderr, "shell: no page about the machine: %v\n", err)
		} else {
			go func() { fmt.Fprintf(os.Stderr, "shell: the page about the machine: %v\n", status.Serve(l)) }()
		}
	}
	up, err := system.Uptime()
	fmt.Println(readyLine(up, err == nil, os.Getenv("TUPLIX_FORWARDS")))
	script, err := os.ReadFile(startFile)
	if err == nil {
		s.Text(string(script), interrupts.Foreground)
	} else if !errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(os.Stderr, "shell: %v\n", err)
	}
}

// converse takes commands from a terminal.
func converse(s *session.Session, in *os.File, history *console.History, interrupts *console.Interrupts, first bool) (int, error) {
	editor := console.NewEditor(in, os.Stdout, history, console.Completer{Words: s.Words, Dir: s.Dir})
	line := func(more bool) (string, error) {
		for {
			text, err := editor.Line(prompt(s, more))
			switch {
			case errors.Is(err, console.ErrInterrupted):
				err = session.ErrInterrupted
			case err == io.EOF && first:
				fmt.Println("poweroff switches the machine off, exit ends the shell and the machine with it")
				continue
			}
			return text, err
		}
	}
	return s.Run(session.Source{Line: line, Foreground: interrupts.Foreground}), nil
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
