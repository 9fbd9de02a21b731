package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/tuplix/tuplix/dbms/blockcrypt"
)

// leastPassphrase is the shortest passphrase to be chosen, in characters.
const leastPassphrase = 8

// errNoTerminal says that nobody is there to be asked.
var errNoTerminal = errors.New("there is no terminal to ask for the passphrase: give -key-file FILE")

// openTerminal returns the terminal of the person at the tool, wherever the
// standard streams lead.
func openTerminal() (*os.File, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, errNoTerminal
	}
	return tty, nil
}

// ask reads a line that is not shown. The caller wipes it.
func ask(ctx context.Context, tty *os.File, question string) ([]byte, error) {
	fd := int(tty.Fd())
	state, err := term.GetState(fd)
	if err != nil {
		return nil, errNoTerminal
	}
	if _, err := fmt.Fprint(tty, question); err != nil {
		return nil, err
	}
	type answer struct {
		line []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		line, err := term.ReadPassword(fd)
		answers <- answer{line, err}
	}()
	select {
	case a := <-answers:
		fmt.Fprintln(tty)
		return a.line, a.err
	case <-ctx.Done():
		// The goroutine is left in its read; the tool is about to end.
		return nil, errors.Join(ctx.Err(), term.Restore(fd, state))
	}
}

// choose asks for a new passphrase, twice.
func choose(ctx context.Context, tty *os.File, disk string) ([]byte, error) {
	first, err := ask(ctx, tty, fmt.Sprintf("New passphrase for %s: ", disk))
	if err != nil {
		return nil, err
	}
	if n := utf8.RuneCount(first); n < leastPassphrase {
		clear(first)
		return nil, fmt.Errorf("the passphrase has %d characters: choose one of at least %d", n, leastPassphrase)
	}
	second, err := ask(ctx, tty, "The same again: ")
	defer clear(second)
	if err == nil && !bytes.Equal(first, second) {
		err = errors.New("the two passphrases differ")
	}
	if err != nil {
		clear(first)
		return nil, err
	}
	return first, nil
}

// readKeyFile reads a key file, which is used as it is, every byte. The caller
// wipes it.
func readKeyFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("key file %s can be read by others: chmod 600 it", name)
	}
	key := make([]byte, blockcrypt.MaxSecret+1)
	n, err := io.ReadFull(f, key)
	switch {
	case n > blockcrypt.MaxSecret:
		err = fmt.Errorf("more than %d bytes: make one with head -c 32 /dev/urandom", blockcrypt.MaxSecret)
	case n == 0 && errors.Is(err, io.EOF):
		err = errors.New("it is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return key[:n], nil
	}
	clear(key)
	return nil, fmt.Errorf("key file %s: %w", name, err)
}

// showRecovery tells the recovery key, to the person at the terminal only: it
// must not end up in a log.
func showRecovery(tty *os.File, disk, recovery string) {
	fmt.Fprintf(tty, `
The recovery key of %s opens it when all else is lost. Write it down and keep
it apart from this machine. It is not shown again.

    %s

`, disk, recovery)
}
