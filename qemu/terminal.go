package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// Keys of the console that have a meaning here.
const (
	keyEscape = 0x01 // Ctrl-A
	keyEnd    = 0x04 // Ctrl-D
)

// Run boots a machine on this process's standard input and output and waits
// for its end. On a terminal every key goes to the guest; Ctrl-A x ends the
// machine. When a pipe or a file at the input ends, the guest gets a Ctrl-D.
// QEMU's own messages go to standard error. A SIGQUIT to this process has the
// machine report what its goroutines do, and end, as it would a Go program.
func Run(ctx context.Context, c Config) (Exit, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	restore, err := rawTerminal()
	if err != nil {
		return Exit{}, err
	}
	defer restore()
	// Hide that the output is a file: QEMU would make it non-blocking, for
	// this process and whoever else has it.
	m, err := Start(ctx, c, struct{ io.Writer }{os.Stdout})
	if err != nil {
		return Exit{}, err
	}
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGQUIT)
	defer signal.Stop(quit)
	go reportAt(quit, m)
	// The copying goroutine may be left in a read of standard input when the
	// machine ends; it ends with the process.
	go func() {
		if term.IsTerminal(int(os.Stdin.Fd())) {
			copyKeys(m, os.Stdin)
		} else {
			copyPipe(m.Input(), os.Stdin)
		}
	}()
	return m.Wait()
}

// reportAt has the machine report at each signal, until it ends.
func reportAt(quit <-chan os.Signal, m *Machine) {
	for {
		select {
		case <-quit:
			if err := m.Report(); err != nil {
				fmt.Fprintf(os.Stderr, "asking the machine for a report: %v\r\n", err)
			}
		case <-m.Done():
			return
		}
	}
}

// rawTerminal puts a terminal at standard input into raw mode, says how to get
// out, and returns the function that undoes it.
func rawTerminal() (restore func(), err error) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return func() {}, nil
	}
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	fmt.Fprint(os.Stderr, "(console of the machine; Ctrl-A x ends it)\r\n")
	return func() {
		// The terminal may be gone, and then there is nothing to restore.
		_ = term.Restore(fd, state)
	}, nil
}

// copyPipe hands in to the guest and ends it with a Ctrl-D, as a person at a
// terminal would. A machine that has ended takes no more input, which is no
// error.
func copyPipe(console io.Writer, in io.Reader) {
	if _, err := io.Copy(console, in); err != nil {
		return
	}
	_, _ = console.Write([]byte{keyEnd})
}

// copyKeys hands keys to the guest until the input ends or Ctrl-A x asks for
// the end of the machine.
func copyKeys(m *Machine, in io.Reader) {
	var filter escapeFilter
	buf := make([]byte, 256)
	for {
		n, err := in.Read(buf)
		keys, quit := filter.pass(buf[:n])
		if quit {
			m.end(true)
			return
		}
		if _, err := m.Input().Write(keys); err != nil {
			return
		}
		if errors.Is(err, io.EOF) {
			// The terminal has hung up: nobody is left at the console.
			m.Kill()
			return
		}
		if err != nil {
			return
		}
	}
}

// escapeFilter finds Ctrl-A sequences among keys: Ctrl-A x quits, Ctrl-A
// Ctrl-A is one Ctrl-A for the guest, Ctrl-A before any other key is dropped.
type escapeFilter struct {
	escaped bool // the last key was Ctrl-A
}

// pass returns the keys that are for the guest, and whether to quit.
func (e *escapeFilter) pass(keys []byte) (out []byte, quit bool) {
	for _, k := range keys {
		switch {
		case e.escaped && (k == 'x' || k == 'X'):
			return out, true
		case !e.escaped && k == keyEscape:
			e.escaped = true
			continue
		}
		e.escaped = false
		out = append(out, k)
	}
	return out, false
}
