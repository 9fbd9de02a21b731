package command

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
)

// EachName calls do for each name. An error about one is reported and does not
// keep it from the others; the error returned then is an Exit. It stops when ctx
// is cancelled, and when nobody reads the output any more.
func (c *Call) EachName(ctx context.Context, names []string, do func(name string) error) error {
	failed := false
	for _, name := range names {
		err := do(name)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, syscall.EPIPE) {
			return err
		}
		if err != nil {
			c.Warn(err)
			failed = true
		}
	}
	if failed {
		return Exit(StatusFailed)
	}
	return nil
}

// Confirm asks a question on the standard error and tells whether the answer,
// one line of the input, begins with a y. The end of the input is a no.
func (c *Call) Confirm(question string) (bool, error) {
	if _, err := io.WriteString(c.Err, c.Command.Name+": "+question+"? "); err != nil {
		return false, err
	}
	answer, err := c.line()
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y"), err
}

// line reads a line of the input, and nothing behind it. The end of the input ends it
// too.
func (c *Call) line() (string, error) {
	var line strings.Builder
	one := make([]byte, 1) // what follows is somebody else's
	for {
		n, err := c.In.Read(one)
		if n == 1 && one[0] != '\n' {
			line.WriteByte(one[0])
			continue
		}
		if n == 1 || err == io.EOF {
			return strings.TrimSuffix(line.String(), "\r"), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// Secret asks for a line that is not shown as it is typed, such as a password. Where
// the input is no terminal, it is the next line of that.
func (c *Call) Secret(question string) (text string, err error) {
	if c.Hide == nil {
		return c.line()
	}
	if _, err := io.WriteString(c.Err, question); err != nil {
		return "", err
	}
	show, err := c.Hide()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, show()) }()
	text, err = c.line()
	_, _ = io.WriteString(c.Err, "\n") // the Enter that was not shown
	return text, err
}
