package tty

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	// maxLine is the longest line that can be edited, in bytes.
	maxLine = 4095

	// maxWaiting is how many bytes may wait to be read before Serve stops
	// taking more.
	maxWaiting = 64 << 10
)

// Terminal is one terminal. Its methods may be called from any goroutine.
//
// A byte that arrives goes through receive: it may raise a signal, edit the
// line, or be kept. In canonical mode the line becomes readable when it ends;
// else each byte is at once.
type Terminal struct {
	device    io.Writer
	interrupt func(syscall.Signal)
	store     atomic.Pointer[Store]

	output sync.Mutex // one writer's bytes at a time

	mu      sync.Mutex
	room    sync.Cond // less waits to be read, or hung up
	termios Termios
	size    unix.Winsize
	line    []byte   // being edited
	lines   [][]byte // readable; an empty one is an end of file
	waiting int      // bytes in lines
	hungUp  bool
	handles []*Handle
	changed time.Time
}

// New makes a terminal that writes to the device. interrupt is called, on
// the goroutine of Serve and with no lock held, for the characters that
// raise a signal; nil drops them.
func New(device io.Writer, interrupt func(syscall.Signal)) *Terminal {
	if interrupt == nil {
		interrupt = func(syscall.Signal) {}
	}
	t := &Terminal{
		device:    device,
		interrupt: interrupt,
		termios:   sane(),
		size:      unix.Winsize{Row: 24, Col: 80},
		changed:   time.Now(),
	}
	t.room.L = &t.mu
	return t
}

// Store is what the machine keeps its state in, as far as a terminal waits for it.
type Store interface {
	// Owed tells whether something that programs may tell of is not durable. It never
	// blocks.
	Owed() bool
	// Sync returns when all that was owed is durable, or with an error when it will
	// never be.
	Sync(ctx context.Context) error
}

// SetStore has what programs write wait, from now on, for what s owes: a terminal that
// is a line out of the machine tells of nothing that a loss of power undoes.
func (t *Terminal) SetStore(s Store) { t.store.Store(&s) }

// Serve feeds the terminal with what the device receives until that ends:
// then readers see the end of the file, and Serve returns nil or the error.
func (t *Terminal) Serve(device io.Reader) error {
	defer t.HangUp()
	p := make([]byte, 256)
	for {
		n, err := device.Read(p)
		t.Receive(p[:n])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Receive takes bytes that came over the line. It blocks while too much
// waits to be read.
func (t *Terminal) Receive(p []byte) {
	for _, c := range p {
		t.mu.Lock()
		for t.waiting >= maxWaiting && !t.hungUp {
			t.room.Wait()
		}
		signal, echo := t.receive(c)
		t.announce()
		t.mu.Unlock()
		t.emit(echo)
		if signal != 0 {
			t.interrupt(signal)
		}
	}
}

// HangUp ends the input: what waits can still be read.
func (t *Terminal) HangUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hungUp = true
	t.finishLine()
	t.room.Broadcast()
	t.announce()
}

// SetSize sets the window size in characters.
func (t *Terminal) SetSize(rows, columns uint16) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.size = unix.Winsize{Row: rows, Col: columns}
}

// emit writes what is to appear, unprocessed. A failed device has nobody to
// be told: the next write of a program will find out.
func (t *Terminal) emit(p []byte) {
	if len(p) == 0 {
		return
	}
	t.output.Lock()
	defer t.output.Unlock()
	_, _ = t.device.Write(p)
}

// receive handles one byte; mu is held. It returns the signal to raise, if
// any, and what to echo.
func (t *Terminal) receive(c byte) (syscall.Signal, []byte) {
	switch {
	case c == '\r' && t.termios.input(unix.IGNCR):
		return 0, nil
	case c == '\r' && t.termios.input(unix.ICRNL):
		c = '\n'
	case c == '\n' && t.termios.input(unix.INLCR):
		c = '\r'
	}
	if signal := t.signal(c); signal != 0 {
		if !t.termios.local(unix.NOFLSH) {
			t.flush()
		}
		return signal, t.echo(c)
	}
	if !t.termios.local(unix.ICANON) {
		t.keep([]byte{c})
		return 0, t.echo(c)
	}
	return 0, t.edit(c)
}

// signal is what the character raises.
func (t *Terminal) signal(c byte) syscall.Signal {
	switch {
	case !t.termios.local(unix.ISIG):
	case t.termios.is(c, unix.VINTR):
		return syscall.SIGINT
	case t.termios.is(c, unix.VQUIT):
		return syscall.SIGQUIT
	case t.termios.is(c, unix.VSUSP):
		return syscall.SIGTSTP
	}
	return 0
}

// edit handles a character of canonical mode and returns the echo.
func (t *Terminal) edit(c byte) []byte {
	extended := t.termios.local(unix.IEXTEN)
	switch {
	case t.termios.is(c, unix.VERASE):
		return t.erase(len(t.line) - t.lastCharacter())
	case t.termios.is(c, unix.VKILL):
		return t.erase(len(t.line))
	case extended && t.termios.is(c, unix.VWERASE):
		return t.erase(len(t.line) - t.lastWord())
	case extended && t.termios.is(c, unix.VREPRINT):
		return append(append(t.echo(c), "\r\n"...), t.line...)
	case t.termios.is(c, unix.VEOF):
		t.keep(t.line)
		t.line = nil
		return nil
	case c == '\n', t.termios.is(c, unix.VEOL), t.termios.is(c, unix.VEOL2):
		t.keep(append(t.line, c))
		t.line = nil
		return t.echo(c)
	case len(t.line) == maxLine:
		return []byte{'\a'}
	}
	t.line = append(t.line, c)
	return t.echo(c)
}

// lastCharacter is where the last character of the line begins.
func (t *Terminal) lastCharacter() int {
	if !t.termios.input(unix.IUTF8) {
		return max(len(t.line)-1, 0)
	}
	_, n := utf8.DecodeLastRune(t.line)
	return len(t.line) - n
}

// lastWord is where the last word of the line begins.
func (t *Terminal) lastWord() int {
	at := len(t.line)
	for at > 0 && t.line[at-1] == ' ' {
		at--
	}
	for at > 0 && t.line[at-1] != ' ' {
		at--
	}
	return at
}

// erase takes the last n bytes from the line and returns what takes them
// from the screen.
func (t *Terminal) erase(n int) (echo []byte) {
	gone := t.line[len(t.line)-n:]
	t.line = t.line[:len(t.line)-n]
	if !t.termios.local(unix.ECHO) || !t.termios.local(unix.ECHOE) {
		return nil
	}
	for range t.columns(gone) {
		echo = append(echo, "\b \b"...)
	}
	return echo
}

// columns is how wide the bytes were echoed.
func (t *Terminal) columns(p []byte) (n int) {
	for len(p) > 0 {
		size := 1
		if t.termios.input(unix.IUTF8) {
			_, size = utf8.DecodeRune(p)
		}
		n += len(t.visible(p[0]))
		p = p[size:]
	}
	return n
}

// echo is how the character appears on the screen.
func (t *Terminal) echo(c byte) []byte {
	switch {
	case c == '\n' && t.termios.local(unix.ICANON) && t.termios.local(unix.ECHONL|unix.ECHO):
		return t.process([]byte{c})
	case !t.termios.local(unix.ECHO):
		return nil
	}
	return t.process(t.visible(c))
}

// visible shows a control character as a caret and its letter.
func (t *Terminal) visible(c byte) []byte {
	if !t.termios.local(unix.ECHOCTL) || c >= ' ' && c != 0x7f || c == '\n' || c == '\t' {
		return []byte{c}
	}
	return []byte{'^', c ^ 0x40}
}

// process is output processing: line ends become what the line wants.
func (t *Terminal) process(p []byte) []byte {
	if !t.termios.output(unix.OPOST) || !t.termios.output(unix.ONLCR) {
		return p
	}
	out := make([]byte, 0, len(p)+len(p)/16+8)
	for _, c := range p {
		if c == '\n' {
			out = append(out, '\r')
		}
		out = append(out, c)
	}
	return out
}

// keep makes bytes readable; none are an end of file.
func (t *Terminal) keep(p []byte) {
	if len(p) > 0 && len(t.lines) > 0 && !t.termios.local(unix.ICANON) {
		last := &t.lines[len(t.lines)-1]
		*last = append(*last, p...)
	} else {
		t.lines = append(t.lines, p)
	}
	t.waiting += len(p)
}

// finishLine makes what is being edited readable as it is.
func (t *Terminal) finishLine() {
	if len(t.line) > 0 {
		t.keep(t.line)
		t.line = nil
	}
}

// flush drops all input.
func (t *Terminal) flush() {
	t.line, t.lines, t.waiting = nil, nil, 0
	t.room.Broadcast()
}

// take reads into p; ok is false if there is nothing to read yet.
func (t *Terminal) take(p []byte) (n int, ok bool) {
	canonical := t.termios.local(unix.ICANON)
	for len(t.lines) > 0 && n < len(p) {
		m := copy(p[n:], t.lines[0])
		n += m
		t.waiting -= m
		if m < len(t.lines[0]) {
			t.lines[0] = t.lines[0][m:]
			break
		}
		t.lines = t.lines[1:]
		if canonical {
			t.room.Broadcast()
			return n, true
		}
	}
	t.room.Broadcast()
	return n, n > 0 || t.hungUp || !canonical && t.termios.Cc[unix.VMIN] == 0
}
