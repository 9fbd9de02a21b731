package qemu

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// monitor is the client side of QEMU's machine protocol (QMP): JSON objects
// over a socket, one greeting, then a reply to each command with events in
// between.
type monitor struct {
	mu    sync.Mutex // held during a command
	conn  *os.File
	in    *json.Decoder
	ready bool // capabilities have been negotiated
}

// monitorPatience bounds the wait for a reply. QEMU answers within
// milliseconds unless it hangs.
const monitorPatience = 10 * time.Second

func newMonitor(conn *os.File) *monitor {
	return &monitor{conn: conn, in: json.NewDecoder(conn)}
}

// socketPair returns two connected stream sockets, the first for this process
// in non-blocking mode, the second for a child.
func socketPair() (ours, theirs *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		return nil, nil, errors.Join(err, syscall.Close(fds[0]), syscall.Close(fds[1]))
	}
	return os.NewFile(uintptr(fds[0]), "monitor"), os.NewFile(uintptr(fds[1]), "monitor"), nil
}

// reply is any object that QEMU sends.
type reply struct {
	QMP    json.RawMessage
	Event  string
	Return json.RawMessage
	Error  *struct{ Desc string }
}

// execute runs one command and waits for what it returns; arguments may be nil.
func (m *monitor) execute(command string, arguments map[string]string) (json.RawMessage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.conn.SetDeadline(time.Now().Add(monitorPatience)); err != nil {
		return nil, fmt.Errorf("qemu monitor: %w", err)
	}
	if !m.ready {
		if _, err := m.exchange("qmp_capabilities", nil); err != nil {
			return nil, err
		}
		m.ready = true
	}
	return m.exchange(command, arguments)
}

// exchange sends a command and reads until its reply, over the greeting and
// events.
func (m *monitor) exchange(command string, arguments map[string]string) (json.RawMessage, error) {
	request := struct {
		Execute   string            `json:"execute"`
		Arguments map[string]string `json:"arguments,omitempty"`
	}{command, arguments}
	if err := json.NewEncoder(m.conn).Encode(request); err != nil {
		return nil, fmt.Errorf("qemu monitor: %s: %w", command, err)
	}
	for {
		var r reply
		if err := m.in.Decode(&r); err != nil {
			return nil, fmt.Errorf("qemu monitor: %s: %w", command, err)
		}
		switch {
		case r.Error != nil:
			return nil, fmt.Errorf("qemu monitor: %s: %s", command, r.Error.Desc)
		case r.Return != nil:
			return r.Return, nil
		}
	}
}

func (m *monitor) close() { m.conn.Close() }
