package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
)

// proxy stands between an engine and the server, and cuts connections. When
// armed, the connection that next sends the text of a trigger is cut before the
// server gets it, or right after.
type proxy struct {
	t        *testing.T
	listener net.Listener
	server   string
	dir      string

	mu      sync.Mutex
	trigger []byte
	after   bool         // cut when the server has got the request
	leave   bool         // and cut all others, too, and let nobody in from then on
	before  func() error // is called before the cut
	down    bool         // accept no more connections
	every   int          // not 0: each so many requests, cut the connection of one, before or after it
	seen    int
	cuts    int
	conns   map[net.Conn]struct{}
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	dir := t.TempDir()
	const name = ".s.PGSQL.5432"
	l, err := net.Listen("unix", filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, listener: l, dir: dir, server: filepath.Join(server.Dir, name), conns: map[net.Conn]struct{}{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		p.cutAll()
		wg.Wait()
	})
	return p
}

// url is how pgx reaches the server through the proxy.
func (p *proxy) url() string {
	return fmt.Sprintf("host=%s user=%s database=postgres sslmode=disable", p.dir, server.User)
}

func (p *proxy) arm(trigger string, after, leave bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trigger, p.after, p.leave = []byte(trigger), after, leave
}

// meanwhile is what happens to the server before a connection is cut.
func (p *proxy) meanwhile(do func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before = do
}

// refuse lets nobody in, or everybody again.
func (p *proxy) refuse(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close() // its ends report what they miss
	}
}

// fired tells how often a connection was cut.
func (p *proxy) fired() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

func (p *proxy) serve(c net.Conn) {
	s, err := net.Dial("unix", p.server)
	p.mu.Lock()
	refused := p.down || err != nil
	if !refused {
		p.conns[c], p.conns[s] = struct{}{}, struct{}{}
	}
	p.mu.Unlock()
	defer p.drop(c, s)
	if refused {
		return
	}
	go func() {
		defer p.drop(c, s)
		p.requests(c, s)
	}()
	_, err = io.Copy(c, s)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		p.t.Logf("proxy: %v", err)
	}
}

func (p *proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if c != nil {
			_ = c.Close() // a second time, perhaps
			delete(p.conns, c)
		}
	}
}

// requests forwards what the engine sends, up to the trigger.
func (p *proxy) requests(c, s net.Conn) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := c.Read(buffer)
		if err != nil {
			return
		}
		cut, after := p.triggered(buffer[:n])
		if !cut || after {
			if _, err := s.Write(buffer[:n]); err != nil {
				return
			}
		}
		if cut {
			p.cut()
			return
		}
	}
}

// cut does what is to be done before, and cuts the other connections, too, if that was
// asked for.
func (p *proxy) cut() {
	p.mu.Lock()
	all, before := p.down, p.before
	p.mu.Unlock()
	if before != nil {
		if err := before(); err != nil {
			p.t.Errorf("proxy: before a cut: %v", err)
		}
	}
	if all {
		p.cutAll()
	}
}

func (p *proxy) triggered(b []byte) (cut, after bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.every > 0 {
		if p.seen++; p.seen%p.every == 0 {
			p.cuts++
			return true, p.cuts%2 == 0
		}
	}
	if p.trigger == nil || !bytes.Contains(b, p.trigger) {
		return false, false
	}
	p.trigger = nil
	p.cuts++
	p.down = p.leave
	return true, p.after
}
