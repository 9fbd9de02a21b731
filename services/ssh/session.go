package ssh

import (
	"context"
	"io"
	"sync"

	"golang.org/x/crypto/ssh"
)

// Limits of a session's environment.
const (
	maxVariables = 64
	maxVariable  = 4 << 10 // bytes of a name and its value
	maxSide      = 1000    // columns or lines of a terminal
)

// Session is what a user wants. Its fields do not change; its methods may be called
// concurrently.
type Session struct {
	Command  string   // what is to be run; "": whatever comes in, a shell
	Env      []string // "NAME=value"
	Terminal bool     // there is a person at a terminal
	In       io.Reader
	Out, Err io.Writer

	mu            sync.Mutex
	width, height int
	resized       func(width, height int)
	interrupt     func()
}

// Size returns the size of the terminal in columns and lines; 0 where it is not
// known.
func (x *Session) Size() (width, height int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.width, x.height
}

// Notify has resized called after each change of the terminal's size, and interrupt
// when the user's side sends the signal INT.
func (x *Session) Notify(resized func(width, height int), interrupt func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.resized, x.interrupt = resized, interrupt
}

// The requests of RFC 4254, sections 6.2 to 6.10.
type (
	ptyRequest struct {
		Term          string
		Width, Height uint32
		PixelWidth    uint32
		PixelHeight   uint32
		Modes         string
	}
	sizeRequest struct{ Width, Height, PixelWidth, PixelHeight uint32 }
	envRequest  struct{ Name, Value string }
	execRequest struct{ Command string }
	signal      struct{ Name string }
	exitStatus  struct{ Status uint32 }
)

// session serves a channel.
func (s *Server) session(ctx context.Context, channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close() // it has ended, or nobody is there
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	x := &Session{In: channel, Out: channel, Err: channel.Stderr()}
	var run sync.WaitGroup
	defer run.Wait()
	defer cancel()
	started := false
	for r := range requests {
		start, ok := x.request(r.Type, r.Payload, started)
		if r.WantReply {
			if err := r.Reply(ok, nil); err != nil {
				return // the connection has ended
			}
		}
		if !start {
			continue
		}
		started = true
		run.Go(func() {
			status := s.o.Handler(ctx, x)
			if _, err := channel.SendRequest("exit-status", false, ssh.Marshal(&exitStatus{uint32(status)})); err == nil {
				channel.Close() // its error is that of the connection
			}
		})
	}
}

// request does what is asked. It reports whether the Handler is to be started, and
// whether the request was understood.
func (x *Session) request(kind string, payload []byte, started bool) (start, ok bool) {
	switch kind {
	case "pty-req":
		var p ptyRequest
		if started || ssh.Unmarshal(payload, &p) != nil {
			return false, false
		}
		x.Terminal = true
		x.setenv("TERM", p.Term)
		x.resize(p.Width, p.Height)
		return false, true
	case "window-change":
		var p sizeRequest
		if ssh.Unmarshal(payload, &p) != nil {
			return false, false
		}
		x.resize(p.Width, p.Height)
		return false, true
	case "env":
		var p envRequest
		return false, !started && ssh.Unmarshal(payload, &p) == nil && x.setenv(p.Name, p.Value)
	case "signal":
		var p signal
		return false, ssh.Unmarshal(payload, &p) == nil && x.signaled(p.Name)
	case "shell":
		return !started, !started
	case "exec":
		var p execRequest
		if started || ssh.Unmarshal(payload, &p) != nil {
			return false, false
		}
		x.Command = p.Command
		return true, true
	}
	return false, false
}

func (x *Session) resize(width, height uint32) {
	x.mu.Lock()
	x.width, x.height = int(min(width, maxSide)), int(min(height, maxSide))
	w, h, resized := x.width, x.height, x.resized
	x.mu.Unlock()
	if resized != nil {
		resized(w, h)
	}
}

// setenv takes a variable of the client's: those of its language and its terminal, as
// others might change what programs do.
func (x *Session) setenv(name, value string) bool {
	known := name == "TERM" || name == "LANG" || name == "TZ" || len(name) > 3 && name[:3] == "LC_"
	if !known || len(x.Env) >= maxVariables || len(name)+len(value) > maxVariable {
		return false
	}
	for i := range value {
		if value[i] == 0 {
			return false
		}
	}
	x.Env = append(x.Env, name+"="+value)
	return true
}

func (x *Session) signaled(name string) bool {
	x.mu.Lock()
	interrupt := x.interrupt
	x.mu.Unlock()
	if name != "INT" || interrupt == nil {
		return false
	}
	interrupt()
	return true
}
