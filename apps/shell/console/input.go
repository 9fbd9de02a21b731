package console

import (
	"io"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Input opens the standard input anew where the system lets it. A file opened
// by package os is known to the poller, so that a read that waits for a terminal
// or a pipe can be called off; the descriptor that a process starts with is not,
// and to change its mode would change it for other processes too. Where it
// cannot be opened anew, the standard input itself is returned.
func Input() *os.File {
	names := []string{"/proc/self/fd/0"}
	if term.IsTerminal(0) {
		names = append(names, "/dev/console")
	}
	for _, name := range names {
		f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOCTTY, 0)
		if err != nil {
			continue
		}
		if same(f) {
			return f
		}
		f.Close() // opened for reading, and not the one
	}
	return os.Stdin
}

// same reports whether f and descriptor 0 are one file, read from where it
// stands: a regular file opened anew would start at its beginning.
func same(f *os.File) bool {
	a, err1 := f.Stat()
	b, err2 := os.Stdin.Stat()
	if err1 != nil || err2 != nil || a.Mode().IsRegular() {
		return false
	}
	return os.SameFile(a, b)
}

// PlainLines returns lines of r without editing and without a prompt. It reads
// byte by byte, as what follows the line belongs to the command in it.
func PlainLines(r io.Reader) func(more bool) (string, error) {
	return func(bool) (string, error) {
		var line strings.Builder
		var b [1]byte
		for {
			n, err := r.Read(b[:])
			if n == 1 {
				line.WriteByte(b[0])
			}
			if err != nil || n == 1 && b[0] == '\n' {
				return strings.ReplaceAll(line.String(), "\r\n", "\n"), err
			}
		}
	}
}

// Silence stops a terminal from echoing what comes in, for input that a program
// writes, and returns how to undo it. It does nothing to what is no terminal.
func Silence(f *os.File) (undo func() error, err error) {
	var before *unix.Termios
	err = control(f, func(fd int) error {
		if !term.IsTerminal(fd) {
			return nil
		}
		var err error
		if before, err = unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
			return err
		}
		quiet := *before
		quiet.Lflag &^= unix.ECHO | unix.ECHONL
		if err = unix.IoctlSetTermios(fd, unix.TCSETS, &quiet); err != nil {
			before = nil
		}
		return err
	})
	return func() error {
		if before == nil {
			return nil
		}
		return control(f, func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, before) })
	}, err
}

// control calls do with the descriptor of f and leaves f with the poller, which
// File.Fd would not.
func control(f *os.File, do func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := conn.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}
