package tty

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// screen collects what the terminal sends.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.b.Reset()
	return s.b.String()
}

// readAll reads until the terminal has no more, a "|" after each read and
// "EOF" for an end of file.
func readAll(t *testing.T, h *Handle) string {
	t.Helper()
	var b strings.Builder
	p := make([]byte, 64)
	for {
		n, err := h.Read(p)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return b.String()
		case err != nil:
			t.Fatal(err)
		case n == 0:
			b.WriteString("EOF")
			return b.String()
		}
		b.WriteString(string(p[:n]) + "|")
	}
}

// TestTranscripts types, and looks at what a program reads and what appears.
func TestTranscripts(t *testing.T) {
	for _, c := range []struct{ name, typed, read, screen string }{
		{"line", "ls\r", "ls\n|", "ls\r\n"},
		{"two lines", "a\nb\n", "a\n|b\n|", "a\r\nb\r\n"},
		{"unfinished", "abc", "", "abc"},
		{"erase", "lx\x7fs\r", "ls\n|", "lx\b \bs\r\n"},
		{"erase nothing", "\x7f\r", "\n|", "\r\n"},
		{"erase a wide character", "ä\x7fa\r", "a\n|", "ä\b \ba\r\n"},
		{"erase a control character", "\x01\x7fa\r", "a\n|", "^A\b \b\b \ba\r\n"},
		{"kill", "abc\x15d\r", "d\n|", "abc\b \b\b \b\b \bd\r\n"},
		{"erase word", "ab cd \x17e\r", "ab e\n|", "ab cd \b \b\b \b\b \be\r\n"},
		{"end of file", "\x04", "EOF", ""},
		{"end within a line", "ab\x04", "ab|", "ab"},
		{"interrupt drops the line", "abc\x03d\r", "d\n|", "abc^Cd\r\n"},
		{"reprint", "ab\x12c\r", "abc\n|", "ab^R\r\nabc\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s screen
			term := New(&s, nil)
			h := term.Open()
			term.Receive([]byte(c.typed))
			if got := readAll(t, h); got != c.read {
				t.Errorf("read %q, want %q", got, c.read)
			}
			if got := s.take(); got != c.screen {
				t.Errorf("screen %q, want %q", got, c.screen)
			}
		})
	}
}

func ioctl[T any](t *testing.T, h *Handle, request uint32, p *T) {
	t.Helper()
	if _, err := h.Ioctl(request, uintptr(unsafe.Pointer(p))); err != nil {
		t.Fatal(err)
	}
}

// TestRaw sets the terminal as x/term.MakeRaw does.
func TestRaw(t *testing.T) {
	var s screen
	interrupted := false
	term := New(&s, func(syscall.Signal) { interrupted = true })
	h := term.Open()
	term.Receive([]byte("half"))
	settings := new(Termios)
	ioctl(t, h, unix.TCGETS, settings)
	cooked := *settings
	settings.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	settings.Oflag &^= unix.OPOST
	settings.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	ioctl(t, h, unix.TCSETS, settings)
	s.take()
	term.Receive([]byte("\x03\r\x7fx"))
	if got := readAll(t, h); got != "half\x03\r\x7fx|" {
		t.Errorf("read %q", got)
	}
	if _, err := h.Write([]byte("a\nb")); err != nil {
		t.Fatal(err)
	}
	if got := s.take(); got != "a\nb" || interrupted {
		t.Errorf("screen %q, interrupted %v", got, interrupted)
	}
	ioctl(t, h, unix.TCSETSF, &cooked)
	term.Receive([]byte("\x03"))
	if !interrupted {
		t.Error("not interrupted")
	}
}

func TestReadinessAndHangUp(t *testing.T) {
	var s screen
	term := New(&s, nil)
	a, b := term.Open(), term.Open()
	edges := map[*Handle]int{}
	a.Notify(func(uint32) { edges[a]++ })
	b.Notify(func(uint32) { edges[b]++ })
	term.Receive([]byte("x"))
	if len(edges) > 0 || a.Ready()&syscall.EPOLLIN != 0 {
		t.Error("ready before the line is")
	}
	term.Receive([]byte("\r"))
	if edges[a] == 0 || edges[b] == 0 || a.Ready()&syscall.EPOLLIN == 0 {
		t.Error("not ready")
	}
	if err := term.Serve(strings.NewReader("rest")); err != nil {
		t.Error(err)
	}
	if got := readAll(t, a); got != "x\n|rest|EOF" {
		t.Errorf("read %q", got)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// TestNothingIsLost feeds far more than the terminal holds.
func TestNothingIsLost(t *testing.T) {
	var s screen
	term := New(&s, nil)
	h := term.Open()
	ready := make(chan struct{}, 1)
	h.Notify(func(uint32) {
		select {
		case ready <- struct{}{}:
		default:
		}
	})
	const lines = 40_000
	done := make(chan error)
	go func() { done <- term.Serve(strings.NewReader(strings.Repeat("0123456789\n", lines))) }()
	total, p := 0, make([]byte, 64)
	for {
		n, err := h.Read(p)
		if errors.Is(err, syscall.EAGAIN) {
			<-ready
			continue
		}
		if n == 0 {
			break
		}
		total += n
	}
	if err := <-done; err != nil || total != 11*lines {
		t.Errorf("read %d bytes, %v", total, err)
	}
}
