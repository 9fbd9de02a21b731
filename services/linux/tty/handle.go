package tty

import (
	"context"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Handle is one open description of the terminal (linux.Description).
type Handle struct {
	terminal *Terminal
	ready    func(uint32) // under Terminal.mu
}

// Open opens another description of the terminal.
func (t *Terminal) Open() *Handle {
	h := &Handle{terminal: t}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.handles = append(t.handles, h)
	return h
}

// announce tells the handles what is ready; mu is held.
func (t *Terminal) announce() {
	events := t.events()
	if events&syscall.EPOLLIN == 0 {
		return
	}
	for _, h := range t.handles {
		if h.ready != nil {
			h.ready(events)
		}
	}
}

// events are what holds now; mu is held.
func (t *Terminal) events() uint32 {
	events := uint32(syscall.EPOLLOUT | unix.EPOLLWRNORM)
	if len(t.lines) > 0 || t.hungUp {
		events |= syscall.EPOLLIN | unix.EPOLLRDNORM
	}
	if t.hungUp {
		events |= syscall.EPOLLHUP
	}
	return events
}

// Notify registers the callback for readiness.
func (h *Handle) Notify(ready func(events uint32)) {
	h.terminal.mu.Lock()
	defer h.terminal.mu.Unlock()
	h.ready = ready
}

// Ready tells what holds now. Writing always does.
func (h *Handle) Ready() uint32 {
	h.terminal.mu.Lock()
	defer h.terminal.mu.Unlock()
	return h.terminal.events()
}

// Read returns a line in canonical mode, else whatever came; EAGAIN if there
// is nothing, 0 at the end of the file.
func (h *Handle) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	h.terminal.mu.Lock()
	defer h.terminal.mu.Unlock()
	n, ok := h.terminal.take(p)
	if !ok {
		return 0, syscall.EAGAIN
	}
	return n, nil
}

// Write sends p to the line and returns when the device has taken it. It waits first for
// what the store owes (SetStore), and fails with EIO where that will never be durable.
func (h *Handle) Write(p []byte) (int, error) {
	t := h.terminal
	if s := t.store.Load(); s != nil && (*s).Owed() {
		if err := (*s).Sync(context.Background()); err != nil {
			return 0, syscall.EIO
		}
	}
	t.mu.Lock()
	out := t.process(p)
	t.mu.Unlock()
	t.output.Lock()
	defer t.output.Unlock()
	if _, err := t.device.Write(out); err != nil {
		return 0, syscall.EIO
	}
	return len(p), nil
}

// Close forgets the handle.
func (h *Handle) Close() error {
	t := h.terminal
	t.mu.Lock()
	defer t.mu.Unlock()
	t.handles = slices.DeleteFunc(t.handles, func(other *Handle) bool { return other == h })
	return nil
}

// Stat describes the character device 5:1, the console.
func (h *Handle) Stat(st *syscall.Stat_t) error {
	at := syscall.NsecToTimespec(h.terminal.changed.UnixNano())
	st.Mode = syscall.S_IFCHR | 0o620
	st.Nlink = 1
	st.Ino = 1
	st.Rdev = unix.Mkdev(5, 1)
	st.Blksize = 1024
	st.Atim, st.Mtim, st.Ctim = at, at, at
	return nil
}

// Ioctl serves the requests of terminals; ENOTTY for others.
func (h *Handle) Ioctl(request uint32, arg uintptr) (int, error) {
	t := h.terminal
	t.mu.Lock()
	defer t.mu.Unlock()
	switch request {
	case unix.TCGETS:
		return exchange(arg, func(p *Termios) { *p = t.termios })
	case unix.TCSETS, unix.TCSETSW:
		return exchange(arg, func(p *Termios) { t.set(*p) })
	case unix.TCSETSF:
		return exchange(arg, func(p *Termios) { t.flush(); t.set(*p) })
	case unix.TIOCGWINSZ:
		return exchange(arg, func(p *unix.Winsize) { *p = t.size })
	case unix.TIOCSWINSZ:
		return exchange(arg, func(p *unix.Winsize) { t.size = *p })
	case unix.TIOCGPGRP, unix.TIOCGSID:
		return exchange(arg, func(p *int32) { *p = 1 })
	case unix.TIOCINQ:
		return exchange(arg, func(p *int32) { *p = int32(t.waiting) })
	case unix.TIOCOUTQ:
		return exchange(arg, func(p *int32) { *p = 0 })
	case unix.TCFLSH:
		if arg == unix.TCIFLUSH || arg == unix.TCIOFLUSH {
			t.flush()
		}
		return 0, nil
	case unix.TIOCSPGRP, unix.TIOCSCTTY, unix.TIOCNOTTY, unix.TCSBRK, unix.TCSBRKP, unix.TCXONC:
		return 0, nil // one process, and what is written has been sent
	}
	return 0, syscall.ENOTTY
}

// set takes new settings. When lines cease to be edited what there is of one
// becomes readable.
func (t *Terminal) set(next Termios) {
	if !next.local(unix.ICANON) {
		t.finishLine()
	}
	t.termios = next
	t.announce()
}

// exchange passes the T at an address, which the program gave, to fn.
func exchange[T any](address uintptr, fn func(*T)) (int, error) {
	const firstPage = 4096
	if address < firstPage {
		return 0, syscall.EFAULT
	}
	fn((*T)(*(*unsafe.Pointer)(unsafe.Pointer(&address))))
	return 0, nil
}
