package command

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// contextWriter refuses to write once its context is cancelled, which ends the
// loop of any command that looks at its errors. It keeps in mind that nobody reads
// what is written, for commands that put their own words around that error.
type contextWriter struct {
	ctx    context.Context
	w      io.Writer
	broken bool
}

func (w *contextWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.w.Write(p)
	w.broken = w.broken || errors.Is(err, syscall.EPIPE)
	return n, err
}

// contextReader refuses to read once its context is cancelled.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.r.Read(p)
	if err != nil && r.ctx.Err() != nil {
		err = r.ctx.Err()
	}
	return n, err
}

// openFile is a file that Inputs has opened, tied to the context of the call.
type openFile struct {
	contextReader
	file *os.File
}

// File returns the file that Inputs opened for a reader; it is not tied to the
// context of the call.
func File(r io.Reader) (*os.File, bool) {
	f, ok := r.(openFile)
	return f.file, ok
}

// Tied returns a reader that refuses to read once the call is cancelled.
func (c *Call) Tied(r io.Reader) io.Reader { return contextReader{c.ctx, r} }

// interruptible ties a reader to ctx. A read that is already waiting is woken
// too where the reader is a file that the poller knows (a pipe, a terminal or a
// socket); others do not wait for long. The caller calls release when the
// command has ended, which makes the file usable again.
func interruptible(ctx context.Context, r io.Reader) (_ io.Reader, release func()) {
	if r == nil {
		return eof{}, func() {}
	}
	tied := contextReader{ctx, r}
	f, ok := r.(*os.File)
	if !ok || f.SetReadDeadline(time.Time{}) != nil {
		return tied, func() {}
	}
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		f.SetReadDeadline(time.Unix(1, 0)) // it was accepted above; a closed file needs no waking
	})
	return tied, func() {
		if stop() {
			return
		}
		<-woken
		f.SetReadDeadline(time.Time{}) // as above
	}
}

// eof is the input of a command that has none.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
