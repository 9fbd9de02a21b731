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
	var answer strings.Builder
	one := make([]byte, 1) // what follows the line is somebody else's
	for {
		n, err := c.In.Read(one)
		if n == 1 && one[0] != '\n' {
			answer.WriteByte(one[0])
			continue
		}
		if n == 1 || err == io.EOF {
			return strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer.String())), "y"), nil
		}
		if err != nil {
			return false, err
		}
	}
}
