package console

import (
	"errors"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// ErrInterrupted is returned by Editor.Line when Ctrl-C was pressed.
var ErrInterrupted = errors.New("interrupted")

const (
	keyInterrupt = 3  // Ctrl-C
	keyTab       = 9  // Ctrl-I
	keySearch    = 18 // Ctrl-R
)

// device is the terminal that an Editor works on.
type device interface {
	io.ReadWriter // reads one byte at a time

	// raw turns the terminal's own editing, echo and signals off until undo.
	raw() (undo func() error, err error)
	// size is in columns and lines; 0 where the terminal does not know.
	size() (width, height int)
}

// Editor reads lines from a terminal, with editing, history and completion. It
// is used by one goroutine at a time.
type Editor struct {
	device   device
	history  *History
	complete Completer

	search search
	last   byte // the last byte read
}

// NewEditor returns an editor of lines on a terminal of this machine.
func NewEditor(in, out *os.File, history *History, complete Completer) *Editor {
	return &Editor{device: local{in, out}, history: history, complete: complete}
}

// Line shows the prompt and returns the line typed, without its newline. The
// end of the input, and Ctrl-D on an empty line, is io.EOF; Ctrl-C is
// ErrInterrupted. The terminal is raw only until it returns.
func (e *Editor) Line(prompt string) (string, error) {
	undo, err := e.device.raw()
	if err != nil {
		return "", err
	}
	line, err := e.read(prompt)
	if err := undo(); err != nil {
		return "", err
	}
	return line, err
}

// read is Line on a terminal that is raw.
func (e *Editor) read(prompt string) (string, error) {
	t := term.NewTerminal(keyboard{e}, prompt)
	t.History = e.history
	if err := t.SetSize(e.size()); err != nil {
		return "", err
	}
	t.AutoCompleteCallback = func(line string, at int, key rune) (string, int, bool) {
		return e.key(t, line, at, key)
	}
	e.last = 0
	line, err := t.ReadLine()
	switch {
	case errors.Is(err, term.ErrPasteIndicator):
		return line, nil
	case err == io.EOF && e.last == keyInterrupt:
		if _, err := io.WriteString(e.device, "^C\r\n"); err != nil {
			return "", err
		}
		return "", ErrInterrupted
	case err == io.EOF:
		if _, err := io.WriteString(e.device, "\r\n"); err != nil {
			return "", err
		}
	}
	return line, err
}

// raw turns a terminal's own editing, echo and signals off and returns the mode
// it was in. Output is still processed, as a background job may print lines;
// and Enter still comes as a newline, as what is typed ahead may be read by a
// command.
func raw(fd int) (*unix.Termios, error) {
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	mode := *before
	mode.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.IXON
	mode.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	mode.Cc[unix.VMIN], mode.Cc[unix.VTIME] = 1, 0
	return before, unix.IoctlSetTermios(fd, unix.TCSETS, &mode)
}

// size is the terminal's; where it does not know, what the variables COLUMNS and
// LINES told when the shell started, or 80 by 24.
func (e *Editor) size() (width, height int) {
	if width, height = e.device.size(); width > 0 && height > 0 {
		return width, height
	}
	return told("COLUMNS", 80), told("LINES", 24)
}

// local is a terminal of this machine.
type local struct{ in, out *os.File }

func (l local) raw() (undo func() error, err error) {
	var before *unix.Termios
	err = control(l.in, func(fd int) (err error) {
		before, err = raw(fd)
		return err
	})
	return func() error {
		return control(l.in, func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, before) })
	}, err
}

func (l local) size() (width, height int) {
	err := control(l.out, func(fd int) (err error) {
		width, height, err = term.GetSize(fd)
		return err
	})
	if err != nil {
		return 0, 0
	}
	return width, height
}

func (l local) Read(p []byte) (int, error)  { return l.in.Read(p[:1]) }
func (l local) Write(p []byte) (int, error) { return l.out.Write(p) }

// told returns the number that a variable holds, or another.
func told(name string, other int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return other
}

// keyboard gives a term.Terminal one byte at a time, so that what is typed
// ahead of the line stays where the next command finds it.
type keyboard struct{ e *Editor }

func (k keyboard) Read(p []byte) (int, error) {
	n, err := k.e.device.Read(p[:1])
	if n == 1 {
		k.e.last = p[0]
	}
	return n, err
}

func (k keyboard) Write(p []byte) (int, error) { return k.e.device.Write(p) }

// key handles the keys that term.Terminal leaves to its user.
func (e *Editor) key(t *term.Terminal, line string, at int, key rune) (string, int, bool) {
	switch key {
	case keyTab:
		newLine, newAt, choices := e.complete.apply(line, at)
		if len(choices) > 0 {
			width, _ := e.size()
			if _, err := io.WriteString(t, columns(choices, width)); err != nil {
				return line, at, true // the terminal is gone; the next read says so
			}
		}
		return newLine, newAt, true
	case keySearch:
		found := e.search.next(e.history, line)
		return found, len(found), true
	}
	return "", 0, false
}

// search is the state of Ctrl-R: the text looked for and how far back it got.
type search struct {
	text   string
	result string
	index  int
}

// next returns the next older line that contains what was typed before the
// first Ctrl-R, and what is there already if there is none.
func (s *search) next(h *History, line string) string {
	if line != s.result || line == "" {
		s.text, s.index = line, -1
	}
	found := h.Find(s.text, s.index+1)
	if found < 0 {
		return line
	}
	s.index, s.result = found, h.At(found)
	return s.result
}
