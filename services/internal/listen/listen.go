package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"

	"github.com/tuplix/tuplix/services/config"
)

// Address declares a setting that holds a TCP address, or nothing.
func Address(name, doc string) *config.Setting[string] {
	return config.Text(name, "", doc).Check("ADDRESS:PORT or :PORT, or nothing for nowhere", check)
}

func check(text string) error {
	if text == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(text)
	if err == nil && host != "" {
		_, err = netip.ParseAddr(host)
	}
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is not an address such as :9100, 127.0.0.1:9100 or [::1]:9100: %w", text, err)
	}
	return nil
}

// Server serves where a setting says.
type Server struct {
	name   string
	serve  func(net.Listener) error
	failed func(error)
	end    context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	address string
	at      net.Listener // nil: nowhere
}

// Start begins to serve at the address that the setting holds, if it does. Serve
// returns when the listener is closed; failed takes why there is none, and why serve
// ended before that. The name is for these errors.
func Start(c *config.Service, at *config.Setting[string], name string, serve func(net.Listener) error, failed func(error)) *Server {
	s := &Server{name: name, serve: serve, failed: failed}
	ctx, end := context.WithCancel(context.Background())
	s.end = end
	s.move(at.In(c))
	s.work.Go(func() {
		// It ends with ctx only, as the function does not fail.
		_ = c.Follow(ctx, func() error { s.move(at.In(c)); return nil })
	})
	return s
}

// End ends serving. Connections that are open are the service's to end.
func (s *Server) End() {
	s.end()
	s.move("")
	s.work.Wait()
	s.move("") // a change that came in between
}

// Addr returns the address at which the server listens, nil for nowhere.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		return nil
	}
	return s.at.Addr()
}

// move serves at another address, unless it is the same.
func (s *Server) move(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if address == s.address {
		return
	}
	s.address = address
	if s.at != nil {
		if err := s.at.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			s.failed(fmt.Errorf("%s: %w", s.name, err))
		}
		s.at = nil
	}
	if address == "" {
		return
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		s.failed(fmt.Errorf("%s: %w", s.name, err))
		return
	}
	s.at = l
	s.work.Go(func() {
		if err := s.serve(l); err != nil && !errors.Is(err, net.ErrClosed) {
			s.failed(fmt.Errorf("%s at %s: %w", s.name, address, err))
		}
	})
}
