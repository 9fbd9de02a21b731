package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/term"
)

// Exit statuses that shells agree on.
const (
	StatusFailed      = 1   // the command did not do what was asked
	StatusUsage       = 2   // it was called in a way that it does not understand
	StatusNotRunnable = 126 // the file exists but cannot be run
	StatusNotFound    = 127 // there is no such command
	StatusInterrupted = 130 // ended by Ctrl-C: 128 + SIGINT
	StatusBrokenPipe  = 141 // nobody reads its output any more: 128 + SIGPIPE
)

// Command is one command of the shell.
type Command struct {
	Name    string // what is typed
	Usage   string // the arguments, as in "[-n count] [file...]"
	Summary string // one line of help, without a full stop

	// Run does the work. It returns nil for success, an Exit to choose a
	// status without a message, and any other error to have it printed
	// behind the command's name with status StatusFailed. It returns soon
	// after ctx is cancelled.
	Run func(ctx context.Context, c *Call) error

	Verbs []*Command // of a Group

	// Complete returns what the argument after those given may be; nil: names
	// of files, as for most commands.
	Complete func(ctx context.Context, before []string) []string

	// Checks says that what the command does is for every user: it does nothing
	// to the machine and its files, or asks for itself what its caller may do.
	Checks bool

	// Files says that the command reaches nothing of the machine but files, and those
	// by system calls. It is for every user where these ask for the caller's rights.
	Files bool
}

// OfFiles marks commands that reach nothing but files, by system calls.
func OfFiles(commands []*Command) []*Command {
	for _, c := range commands {
		c.Files = true
	}
	return commands
}

// Call is one run of a command.
type Call struct {
	Command *Command
	Args    []string // the arguments, without the command's name
	Dir     string   // the absolute directory that relative names start from
	Environ []string // the environment, "NAME=value"

	In  io.Reader
	Out io.Writer
	Err io.Writer

	// Hide stops the terminal that In is from showing what is typed, until show is
	// called. It is nil where the input is no terminal.
	Hide func() (show func() error, err error)

	// MayOpen says whether the caller may open a file, by its absolute name and the
	// flags of os.OpenFile. It is nil where they may open all. Commands that every user
	// may run (Checks) ask it.
	MayOpen func(path string, flag int) error

	// Exec runs another command with the streams and surroundings of this
	// call, but with the given input unless that is nil, and returns its Exit
	// or nil. It is nil where there is no shell around the call.
	Exec func(ctx context.Context, argv []string, in io.Reader) error

	ctx context.Context // of the run
	in  io.Reader       // In and Out before they were tied to the context
	out io.Writer
}

// Stdin returns the input of the call as the shell gave it, to be given to a
// shell again.
func (c *Call) Stdin() io.Reader { return c.in }

// Exit is a status that has already been explained, or needs no explanation.
type Exit int

// Error says the status in words.
func (e Exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Status runs the command and returns its exit status, after printing its
// error, if any, to c.Err. It ties the streams of c to ctx.
func (cmd *Command) Status(ctx context.Context, c *Call) int {
	c.Command = cmd
	c.ctx, c.in, c.out = ctx, c.In, c.Out
	in, release := interruptible(ctx, c.In)
	defer release()
	out := &contextWriter{ctx: ctx, w: c.Out}
	c.In, c.Out = in, out
	err := cmd.guarded(ctx, c)
	switch {
	case ctx.Err() != nil:
		return StatusInterrupted
	case err != nil && out.broken:
		return StatusBrokenPipe
	}
	return report(c, err)
}

// guarded runs the command and turns a panic into an error: one broken command
// must not take the console of the machine with it.
func (cmd *Command) guarded(ctx context.Context, c *Call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("broken command (please report this): %v", p)
		}
	}()
	return cmd.Run(ctx, c)
}

// report prints err, if it needs printing, and returns the status it stands for.
func report(c *Call, err error) int {
	var exit Exit
	var usage *UsageError
	switch {
	case err == nil, errors.Is(err, ErrHelp):
		return 0
	case errors.As(err, &exit):
		return int(exit)
	case errors.Is(err, syscall.EPIPE):
		return StatusBrokenPipe
	case errors.As(err, &usage):
		fmt.Fprintf(c.Err, "%s: %v\nusage: %s %s (%s --help tells more)\n",
			c.Command.Name, err, c.Command.Name, c.Command.Usage, c.Command.Name)
		return StatusUsage
	}
	fmt.Fprintf(c.Err, "%s: %v\n", c.Command.Name, err)
	return StatusFailed
}

// Warn prints a message behind the command's name, for errors after which the
// command goes on with its next argument.
func (c *Call) Warn(err error) {
	fmt.Fprintf(c.Err, "%s: %v\n", c.Command.Name, err)
}

// Path returns the absolute name of a file that the user named.
func (c *Call) Path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.Dir, name)
}

// Open opens a file that the user named for reading, if they may read it.
func (c *Call) Open(name string) (*os.File, error) {
	path := c.Path(name)
	if c.MayOpen != nil {
		if err := c.MayOpen(path, os.O_RDONLY); err != nil {
			return nil, err
		}
	}
	return os.Open(path)
}

// Getenv returns a variable of the call's environment, "" if it is not set. As
// in every environment, the last of several settings counts.
func (c *Call) Getenv(name string) string {
	v, _ := c.LookupEnv(name)
	return v
}

// LookupEnv returns a variable of the call's environment and whether it is set.
func (c *Call) LookupEnv(name string) (string, bool) {
	for i := len(c.Environ) - 1; i >= 0; i-- {
		e := c.Environ[i]
		if len(e) > len(name) && e[len(name)] == '=' && e[:len(name)] == name {
			return e[len(name)+1:], true
		}
	}
	return "", false
}

// Terminal reports whether the output of the call goes to a terminal, and its
// width in columns. Where the terminal does not know it, as on a serial line, it
// is that of the variable COLUMNS, or 80.
func (c *Call) Terminal() (width int, ok bool) {
	out := c.out
	if out == nil {
		out = c.Out
	}
	if remote, ok := out.(interface{ Size() (width, height int) }); ok {
		if width, _ = remote.Size(); width <= 0 {
			width = 80
		}
		return width, true
	}
	f, isFile := out.(*os.File)
	if !isFile {
		return 0, false
	}
	// Not File.Fd, which would take the file from the poller.
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = conn.Control(func(fd uintptr) {
		if ok = term.IsTerminal(int(fd)); ok {
			width, _, err = term.GetSize(int(fd))
		}
	})
	if !ok {
		return 0, false
	}
	if err == nil && width > 0 {
		return width, true
	}
	if told, err := strconv.Atoi(c.Getenv("COLUMNS")); err == nil && told > 0 {
		return told, true
	}
	return 80, true
}

// Inputs calls each for every file named, or for the standard input where none
// is named or the name is "-". A file that cannot be read is reported and
// passed over; the error returned then is an Exit. An error of each stops the
// walk and is returned as it is. The readers refuse to read once the call is
// cancelled; File returns the file behind one.
func (c *Call) Inputs(names []string, each func(name string, r io.Reader) error) error {
	if len(names) == 0 {
		names = []string{"-"}
	}
	failed := false
	for _, name := range names {
		if name == "-" {
			if err := each(name, c.In); err != nil {
				return err
			}
			continue
		}
		f, err := os.Open(c.Path(name))
		if err != nil {
			c.Warn(Named(name, err))
			failed = true
			continue
		}
		err = each(name, openFile{contextReader{c.ctx, f}, f})
		f.Close() // opened for reading: closing cannot lose anything
		if err != nil {
			return Named(name, err)
		}
	}
	if failed {
		return Exit(StatusFailed)
	}
	return nil
}

// Named puts the name that the user typed in front of an error of the file
// system, in the place of the operation and the absolute name. No error stays
// none.
func Named(name string, err error) error {
	var path *os.PathError
	var link *os.LinkError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &path):
		err = path.Err
	case errors.As(err, &link):
		err = link.Err
	case errors.As(err, new(Exit)), errors.Is(err, syscall.EPIPE):
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}
