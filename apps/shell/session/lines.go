package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/tuplix/tuplix/apps/shell/command"
)

// ErrInterrupted is returned by a Source when the user gave the line up. What
// was typed of the construct so far is forgotten.
var ErrInterrupted = errors.New("interrupted")

// Source gives the shell its lines.
type Source struct {
	// Line returns the next line, with or without its newline; more tells
	// that the line continues a construct. The end is io.EOF, which may come
	// with a last line.
	Line func(more bool) (string, error)

	// Foreground returns the context to run a line in. Ctrl-C cancels it;
	// done is called when the line has run, but does not cancel it, as jobs
	// in the background live on.
	Foreground func() (ctx context.Context, done func())
}

// Background is a Source.Foreground for input that nobody interrupts.
func Background() (context.Context, func()) { return context.Background(), func() {} }

// Run runs lines until the source ends or the shell exits, and returns the exit
// status.
func (s *Session) Run(src Source) int {
	for {
		again := s.stretch(src)
		if !again {
			break
		}
	}
	if !s.runner.Exited() {
		ctx, done := src.Foreground()
		defer done()
		// An empty file is the end of the shell, on which its exit trap runs.
		if status := outcome(s.runner.Run(ctx, &syntax.File{}), s.options.Stderr); s.runner.Exited() {
			s.status = status
		}
	}
	return s.status
}

// stretch runs lines until something ends the parser's walk. It returns true if
// there is more to be run with a fresh parser.
func (s *Session) stretch(src Source) (again bool) {
	parser := syntax.NewParser()
	in := &feed{line: src.Line, incomplete: parser.Incomplete}
	for stmts, err := range parser.InteractiveSeq(in) {
		switch {
		case err != nil && errors.Is(in.err, ErrInterrupted):
			s.status = command.StatusInterrupted
			return true
		case err != nil:
			return s.broken(in, err)
		case parser.Incomplete():
			continue
		}
		if exited := s.statements(src, stmts); exited {
			return false
		}
	}
	if errors.Is(in.err, ErrInterrupted) {
		s.status = command.StatusInterrupted
		return true
	}
	return false
}

// broken reports an error of the syntax or of the source. Only a person can go
// on after the first.
func (s *Session) broken(in *feed, err error) (again bool) {
	s.status = command.StatusUsage
	fmt.Fprintf(s.options.Stderr, "shell: %v\n", err)
	return s.options.Interactive && in.err == nil
}

// statements runs what one line holds. A script that is interrupted ends; a
// person's shell goes on.
func (s *Session) statements(src Source, stmts []*syntax.Stmt) (exited bool) {
	ctx, done := src.Foreground()
	defer done()
	for _, stmt := range stmts {
		s.status = outcome(s.runner.Run(ctx, stmt), s.options.Stderr)
		if ctx.Err() != nil { // first, as the interpreter counts this as an exit too
			s.status = command.StatusInterrupted
			return !s.options.Interactive
		}
		if s.runner.Exited() {
			return true
		}
	}
	return false
}

// Text runs a whole script.
func (s *Session) Text(text string, foreground func() (context.Context, func())) int {
	rest := text
	line := func(bool) (string, error) {
		if rest == "" {
			return "", io.EOF
		}
		line, after, _ := strings.Cut(rest, "\n")
		rest = after
		return line, nil
	}
	return s.Run(Source{Line: line, Foreground: foreground})
}

// feed is the parser's reader: it asks for a line only when the parser has used
// up the last one.
type feed struct {
	line       func(more bool) (string, error)
	incomplete func() bool
	pending    string
	err        error
}

func (f *feed) Read(p []byte) (int, error) {
	for f.pending == "" {
		if f.err != nil {
			return 0, f.err
		}
		line, err := f.line(f.incomplete())
		f.err = err
		if line != "" || err == nil {
			f.pending = strings.TrimSuffix(line, "\n") + "\n"
		}
	}
	n := copy(p, f.pending)
	f.pending = f.pending[n:]
	return n, nil
}
