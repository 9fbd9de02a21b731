package console

import (
	"bytes"
	"io"
	"os"
	"sync"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	keyEnd     = 4  // Ctrl-D
	keyErase   = 8  // Ctrl-H
	keyKill    = 21 // Ctrl-U
	keyDelete  = 127
	maxTyped   = 64 << 10 // bytes typed ahead; more is ignored, with a bell
	maxLine    = 4 << 10  // bytes of a line for a command, as terminals of Linux have it
	bell       = "\a"
	newline    = "\r\n"
	eraseRune  = "\b \b"
	interruptC = "^C\r\n"
)

// Remote is a terminal at the other end of a connection. It does what the kernel does
// for a local one: while an Editor reads, each key goes to that; while a command runs,
// lines are put together and shown as they are typed, Ctrl-C interrupts, Ctrl-D ends
// the input, and what the command did not read is there for the next line.
//
//	keys ─► pump ─┬─ editing:  keys ─► Editor
//	              └─ running:  line ─► pipe ─► command     (Begin)
type Remote struct {
	conn      io.ReadWriter
	interrupt func()

	mu            sync.Mutex
	more          *sync.Cond
	editing       bool
	running       bool // a command, between Begin and its end
	hidden        bool
	keys          []byte   // for the Editor, or typed ahead of the next command
	line          []byte   // that is being typed for a command
	pipe          *os.File // to the command that runs, nil if its input has ended
	err           error    // why no more keys come
	width, height int
}

// NewRemote returns a terminal on a connection, whose keys it begins to read.
// Interrupt is called for each Ctrl-C while a command runs, and for the end of the
// connection.
func NewRemote(conn io.ReadWriter, interrupt func()) *Remote {
	r := &Remote{conn: conn, interrupt: interrupt}
	r.more = sync.NewCond(&r.mu)
	go r.pump()
	return r
}

// NewEditor returns an editor of lines on the terminal.
func (r *Remote) NewEditor(history *History, complete Completer) *Editor {
	return &Editor{device: r, history: history, complete: complete}
}

// Resize tells the terminal's size, in columns and lines.
func (r *Remote) Resize(width, height int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.width, r.height = width, height
}

// Size returns what Resize was last told.
func (r *Remote) Size() (width, height int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.width, r.height
}

func (r *Remote) size() (width, height int) { return r.Size() }

// pump reads keys until the connection ends.
func (r *Remote) pump() {
	buf := make([]byte, 1024)
	for {
		n, err := r.conn.Read(buf)
		for _, key := range buf[:n] {
			if r.key(key) {
				r.interrupt()
				r.show(interruptC)
			}
		}
		if err != nil {
			r.mu.Lock()
			r.err = err
			r.endInput()
			r.more.Broadcast()
			r.mu.Unlock()
			r.interrupt()
			return
		}
	}
}

// key takes a key. It reports whether it interrupts what runs.
func (r *Remote) key(key byte) (interrupt bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.running && key == keyInterrupt:
		r.line, r.keys = nil, nil
		return true
	case r.editing || r.pipe == nil:
		if len(r.keys) < maxTyped {
			r.keys = append(r.keys, key)
			r.more.Broadcast()
		}
	case key == keyEnd && len(r.line) == 0:
		r.endInput()
	case key == '\r' || key == '\n' || key == keyEnd:
		if key != keyEnd {
			r.line = append(r.line, '\n')
			r.echo(newline)
		}
		if len(r.line) > 0 && !write(r.pipe, r.line) {
			r.show(bell)
		}
		r.line = r.line[:0]
	default:
		r.edit(key)
	}
	return false
}

// edit is a key of a line for a command. The caller holds mu.
func (r *Remote) edit(key byte) {
	switch {
	case key == keyDelete || key == keyErase:
		if len(r.line) > 0 {
			_, n := utf8.DecodeLastRune(r.line)
			r.line = r.line[:len(r.line)-n]
			r.echo(eraseRune)
		}
	case key == keyKill:
		for range utf8.RuneCount(r.line) {
			r.echo(eraseRune)
		}
		r.line = r.line[:0]
	case len(r.line) >= maxLine-1:
		r.show(bell)
	default:
		r.line = append(r.line, key)
		if key >= ' ' || key == '\t' {
			r.echo(string(key))
		}
	}
}

// echo shows what is typed, unless it is hidden. The caller holds mu. A connection
// that does not take it has ended, which the pump hears.
func (r *Remote) echo(text string) {
	if !r.hidden {
		r.show(text)
	}
}

func (r *Remote) show(text string) { _, _ = io.WriteString(r.conn, text) }

// endInput ends the input of the command that runs. The caller holds mu.
func (r *Remote) endInput() {
	if r.pipe != nil {
		r.pipe.Close() // nothing waits in it: write does not wait
		r.pipe = nil
	}
}

// Begin prepares for a command that is about to run: it is to read from the returned
// file. End is called when it has ended; what it did not read is for the next.
func (r *Remote) Begin() (in *os.File, end func() error, err error) {
	in, pipe, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	r.mu.Lock()
	r.pipe, r.running = pipe, true
	ahead := r.keys
	r.keys = nil
	r.mu.Unlock()
	for _, key := range ahead { // typed while nothing ran
		if r.key(key) {
			r.interrupt()
			r.show(interruptC)
		}
	}
	return in, func() error { return r.end(in) }, nil
}

func (r *Remote) end(in *os.File) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endInput()
	r.running = false
	left := append(drain(in), r.line...)
	r.line = nil
	r.keys = append(bytes.ReplaceAll(left, []byte("\n"), []byte("\r")), r.keys...)
	return in.Close()
}

// raw hands the keys to an Editor.
func (r *Remote) raw() (undo func() error, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.editing = true
	return func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.editing = false
		return nil
	}, nil
}

// Read waits for a key of an Editor.
func (r *Remote) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.keys) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.more.Wait()
	}
	n := copy(p, r.keys)
	r.keys = r.keys[n:]
	return n, nil
}

// Write shows text; its newlines begin a line at the left.
func (r *Remote) Write(p []byte) (int, error) {
	text := bytes.ReplaceAll(p, []byte("\n"), []byte(newline))
	text = bytes.ReplaceAll(text, []byte("\r\r\n"), []byte(newline))
	if _, err := r.conn.Write(text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Hide stops what is typed for a command from being shown, until show.
func (r *Remote) Hide() (show func() error, err error) {
	set := func(hidden bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.hidden = hidden
	}
	set(true)
	return func() error { set(false); return nil }, nil
}

// write writes to a pipe without waiting. It reports whether there was room.
func write(pipe *os.File, p []byte) bool {
	n := 0
	err := control(pipe, func(fd int) (err error) {
		n, err = unix.Write(fd, p)
		return err
	})
	return err == nil && n == len(p)
}

// drain reads what is in a pipe, without waiting for more.
func drain(pipe *os.File) (all []byte) {
	buf := make([]byte, 4096)
	for {
		n := 0
		err := control(pipe, func(fd int) (err error) {
			n, err = unix.Read(fd, buf)
			return err
		})
		if err != nil || n <= 0 {
			return all
		}
		all = append(all, buf[:n]...)
	}
}
