package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/tuplix/tuplix/apps/shell/command"
)

// Options say what a session works with.
type Options struct {
	Stdin       *os.File
	Stdout      io.Writer
	Stderr      io.Writer
	Env         []string // "NAME=value"
	Dir         string   // absolute
	Params      []string // $1, $2, ...
	Interactive bool     // aliases are expanded, and a syntax error is no end

	// Hide is Call.Hide for commands that read from Stdin itself; nil: it is no
	// terminal.
	Hide func() (show func() error, err error)

	// Allow says what the user may do; nil: everything, as root.
	Allow Allow

	// FilesAsk says that the system calls of commands ask for the rights of the user.
	FilesAsk bool
}

// Session is one shell: its variables, functions, directory and jobs. It is
// used by one goroutine at a time.
type Session struct {
	registry *command.Registry
	options  Options
	runner   *interp.Runner
	status   int
}

// New returns a session that knows the commands of the groups and its own.
func New(o Options, groups ...[]*command.Command) (*Session, error) {
	s := &Session{options: o}
	var err error
	if s.registry, err = command.NewRegistry(append(groups, s.own())...); err != nil {
		return nil, err
	}
	s.runner, err = s.newRunner(o)
	return s, err
}

func (s *Session) newRunner(o Options) (*interp.Runner, error) {
	return interp.New(
		interp.Env(expand.ListEnviron(o.Env...)),
		interp.Dir(o.Dir),
		interp.Params(append([]string{"--"}, o.Params...)...),
		interp.Interactive(o.Interactive),
		interp.StdIO(o.Stdin, o.Stdout, o.Stderr),
		interp.CallHandler(s.rename),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return s.exec }),
		interp.OpenHandler(s.open), interp.ReadDirHandler2(s.readDir),
		interp.StatHandler(s.stat), interp.AccessHandler(s.access),
	)
}

// SetStdin has the lines that follow read from another file, and write to where the
// session writes.
func (s *Session) SetStdin(f *os.File) error {
	s.options.Stdin = f
	return interp.StdIO(f, s.options.Stdout, s.options.Stderr)(s.runner)
}

// Dir returns the current directory.
func (s *Session) Dir() string { return s.runner.Dir }

// Status returns the exit status of the last line.
func (s *Session) Status() int { return s.status }

// Getenv returns a variable of the shell.
func (s *Session) Getenv(name string) string {
	if v, ok := s.runner.Vars[name]; ok {
		return v.String()
	}
	return s.runner.Env.Get(name).String() // before the first line
}

// Arguments returns what the word after those given may be, as far as the command
// knows that they begin with; nil if it knows nothing.
func (s *Session) Arguments(ctx context.Context, words []string) []string {
	if cmd := s.registry.Lookup(words[0]); cmd != nil {
		return cmd.Arguments(ctx, words[1:])
	}
	return nil
}

// Words returns the words that may begin a command: commands, builtins and
// functions.
func (s *Session) Words() []string {
	words := append([]string(nil), s.registry.Names()...)
	words = append(words, builtins...)
	for name := range s.runner.Funcs {
		words = append(words, name)
	}
	return words
}

// builtins are the words that the interpreter itself knows, as far as one would
// want to be told of them.
var builtins = []string{
	"alias", "cd", "command", "echo", "eval", "exec", "exit", "export", "false", "getopts", "local",
	"popd", "printf", "pushd", "pwd", "read", "readonly", "return", "set", "shift", "shopt", "source",
	"test", "time", "trap", "true", "type", "unalias", "unset", "wait",
}

// rename puts this shell's own answer in the place of builtins that know
// nothing of its commands, and ends a shell whose builtins print to nobody: a loop
// of them in front of head would go on for ever.
func (s *Session) rename(ctx context.Context, args []string) ([]string, error) {
	switch {
	case (args[0] == "echo" || args[0] == "printf") && unheard(interp.HandlerCtx(ctx).Stdout):
		args = []string{"exit", strconv.Itoa(command.StatusBrokenPipe)}
	case args[0] == "help":
		args = append([]string{"/bin/help"}, args[1:]...)
	case args[0] == "type" && len(args) > 1 && s.knowsAll(args[1:]):
		args = append([]string{"/bin/which"}, args[1:]...)
	case args[0] == "command" && len(args) == 3 && args[1] == "-v" && s.knowsAll(args[2:]):
		args = []string{"/bin/which", args[2]}
	}
	return args, nil
}

func (s *Session) knowsAll(names []string) bool {
	for _, name := range names {
		if s.runner.Funcs[name] != nil || interp.IsBuiltin(name) || s.registry.Lookup(name) == nil {
			return false
		}
	}
	return true
}

// exec is the interpreter's way to run what is neither function nor builtin.
func (s *Session) exec(ctx context.Context, args []string) error {
	hc := interp.HandlerCtx(ctx)
	status := s.dispatch(ctx, hc, args, hc.Stdin)
	if status == 0 {
		return nil
	}
	return interp.ExitStatus(status)
}

// dispatch runs a command or a script and returns its status.
func (s *Session) dispatch(ctx context.Context, hc interp.HandlerContext, args []string, in io.Reader) int {
	cmd := s.registry.Lookup(args[0])
	if cmd == nil && strings.Contains(args[0], "/") {
		return s.file(ctx, hc, args, in)
	}
	if cmd == nil {
		fmt.Fprintf(hc.Stderr, "%s: no such command%s\n", args[0], s.advice(args[0]))
		return command.StatusNotFound
	}
	if err := s.mayRun(ctx, cmd); err != nil {
		fmt.Fprintf(hc.Stderr, "%s: %v\n", cmd.Name, err)
		return command.StatusNotRunnable
	}
	call := &command.Call{
		Args: args[1:], Dir: hc.Dir, Environ: exported(hc.Env),
		In: in, Out: hc.Stdout, Err: hc.Stderr,
	}
	if f, ok := in.(*os.File); ok && f == s.options.Stdin {
		call.Hide = s.options.Hide
	}
	call.MayOpen = func(path string, flag int) error { return s.mayOpen(ctx, path, flag) }
	call.Exec = func(ctx context.Context, argv []string, in io.Reader) error {
		if in == nil {
			in = call.Stdin()
		}
		if status := s.again(ctx, hc, argv, in); status != 0 {
			return command.Exit(status)
		}
		return nil
	}
	return cmd.Status(ctx, call)
}

// advice tells someone who mistyped a name what it may have been.
func (s *Session) advice(name string) string {
	if near := s.registry.Near(name, builtins...); len(near) > 0 {
		return "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return "; help lists all"
}

// again runs a command on behalf of another one.
func (s *Session) again(ctx context.Context, hc interp.HandlerContext, argv []string, in io.Reader) int {
	if s.registry.Lookup(argv[0]) != nil || !interp.IsBuiltin(argv[0]) {
		return s.dispatch(ctx, hc, argv, in)
	}
	var line strings.Builder
	for _, a := range argv {
		quoted, err := syntax.Quote(a, syntax.LangBash)
		if err != nil {
			fmt.Fprintf(hc.Stderr, "%s: %v\n", argv[0], err)
			return command.StatusFailed
		}
		line.WriteString(quoted + " ")
	}
	return s.script(ctx, hc, argv[0], strings.NewReader(line.String()), nil, in)
}

// file runs a script file.
func (s *Session) file(ctx context.Context, hc interp.HandlerContext, args []string, in io.Reader) int {
	path := args[0]
	if !filepath.IsAbs(path) {
		path = filepath.Join(hc.Dir, path)
	}
	err := s.mayOpen(ctx, path, os.O_RDONLY)
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		fmt.Fprintf(hc.Stderr, "%s: no such file\n", args[0])
		return command.StatusNotFound
	case err != nil:
		fmt.Fprintln(hc.Stderr, command.Named(args[0], err))
		return command.StatusNotRunnable
	case bytes.IndexByte(text[:min(len(text), 512)], 0) >= 0:
		fmt.Fprintf(hc.Stderr, "%s: not a script; programs are linked into an image (tuplix build)\n", args[0])
		return command.StatusNotRunnable
	}
	return s.script(ctx, hc, args[0], bytes.NewReader(text), args[1:], in)
}

// script runs a whole script in a shell of its own, which inherits the
// exported variables and the directory.
func (s *Session) script(ctx context.Context, hc interp.HandlerContext, name string, text io.Reader, params []string, in io.Reader) int {
	parsed, err := syntax.NewParser().Parse(text, name)
	if err != nil {
		fmt.Fprintln(hc.Stderr, err)
		return command.StatusUsage
	}
	r, err := s.newRunner(Options{
		Stdout: hc.Stdout, Stderr: hc.Stderr, Env: exported(hc.Env), Dir: hc.Dir, Params: params,
	})
	if err == nil {
		err = interp.StdIO(in, hc.Stdout, hc.Stderr)(r)
	}
	if err != nil {
		fmt.Fprintf(hc.Stderr, "%s: %v\n", name, err)
		return command.StatusFailed
	}
	return outcome(r.Run(ctx, parsed), hc.Stderr)
}

// outcome turns what the interpreter returns into an exit status.
func outcome(err error, w io.Writer) int {
	if err == nil {
		return 0
	}
	var status interp.ExitStatus
	if errors.As(err, &status) {
		return int(status)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return command.StatusInterrupted
	}
	fmt.Fprintf(w, "shell: %v\n", err)
	return command.StatusFailed
}

// exported returns the environment that commands see.
func exported(env expand.Environ) []string {
	var list []string
	env.Each(func(name string, v expand.Variable) bool {
		if v.Exported && v.IsSet() && v.Kind == expand.String {
			list = append(list, name+"="+v.Str)
		}
		return true
	})
	return list
}
