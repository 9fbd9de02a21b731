package ssh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/internal/listen"
	"github.com/tuplix/tuplix/services/user"
)

// program is the name under which users are let in.
const program = "ssh"

// Limits.
const (
	loginTime      = 30 * time.Second // from the connection to the login
	maxTries       = 6                // of keys and passwords in one connection
	maxConnections = 128              // at a time
	maxLogins      = 16               // of these, that have not logged in yet
	maxChannels    = 16               // of one connection
)

// Handler does what a user wants and returns the exit status. The context carries
// the user as its caller, and ends when they have gone or want it to.
type Handler func(ctx context.Context, s *Session) int

// Options say what the server does. The Handler is needed.
type Options struct {
	Handler Handler
	Log     *slog.Logger // nil: slog.Default's
}

// Server lets users in. All methods may be called concurrently.
type Server struct {
	store *store.Store
	users *user.Service
	o     Options
	at    *listen.Server

	end   context.CancelFunc
	ctx   context.Context // of all connections
	conns sync.WaitGroup

	mu     sync.Mutex
	all    int // connections
	logins int // of these, not logged in
}

// Open begins to listen where the setting says, until Close.
func Open(s *store.Store, users *user.Service, c *config.Service, o Options) *Server {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	server := &Server{store: s, users: users, o: o}
	server.ctx, server.end = context.WithCancel(context.Background())
	server.at = listen.Start(c, Listen, program, server.serve, func(err error) { o.Log.Error(err.Error()) })
	return server
}

// Close ends listening and all connections, and returns when the Handlers have.
func (s *Server) Close() {
	s.at.End()
	s.end()
	s.conns.Wait()
}

// Addr returns the address at which the server listens, nil for nowhere.
func (s *Server) Addr() net.Addr { return s.at.Addr() }

// serve takes connections.
func (s *Server) serve(l net.Listener) error {
	key, err := hostKey(s.ctx, s.store, time.Now())
	if err != nil {
		return errors.Join(err, l.Close())
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		if !s.enter() {
			conn.Close() // nothing was said yet
			continue
		}
		s.conns.Go(func() {
			defer s.leave()
			s.connection(conn, key)
		})
	}
}

// enter counts a connection that has not logged in, unless there are too many.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maxConnections || s.logins >= maxLogins {
		return false
	}
	s.all++
	s.logins++
	return true
}

// loggedIn counts the end of a login, however it went.
func (s *Server) loggedIn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logins--
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
}

// connection serves one from its beginning to its end.
func (s *Server) connection(conn net.Conn, key ssh.Signer) {
	defer conn.Close() // it has ended, or is to
	stop := context.AfterFunc(s.ctx, func() { conn.Close() })
	defer stop()
	from := conn.RemoteAddr().String()
	c, channels, requests, err := s.login(conn, key)
	s.loggedIn()
	if err != nil {
		s.o.Log.Info("ssh: nobody logged in", "from", from, "why", err.Error())
		return
	}
	name := c.User()
	row, _, err := s.users.StartSession(s.ctx, name, program, from)
	if err != nil {
		s.o.Log.Warn("ssh: no session", "user", name, "from", from, "why", err.Error())
		return
	}
	s.o.Log.Info("ssh: logged in", "user", name, "from", from, "session", row.ID)
	caller := user.Caller{User: name, Program: program}
	ctx, cancel := context.WithCancel(user.With(s.ctx, caller))
	var work sync.WaitGroup
	work.Go(func() {
		s.watch(ctx, row.ID)
		conn.Close() // the session has ended, or the connection has
	})
	work.Go(func() { ssh.DiscardRequests(requests) })
	user.Do(ctx, caller, func(ctx context.Context) { s.channels(ctx, channels) })
	cancel()
	conn.Close() // as above
	work.Wait()
	err = s.users.EndSession(user.With(context.WithoutCancel(ctx), user.Caller{User: user.Root, Program: program}), row.ID)
	if err != nil && !errors.Is(err, user.ErrSession) {
		s.o.Log.Warn("ssh: the session's row stays", "session", row.ID, "why", err.Error())
	}
	s.o.Log.Info("ssh: gone", "user", name, "session", row.ID)
}

// login does the handshake.
func (s *Server) login(conn net.Conn, key ssh.Signer) (*ssh.ServerConn, <-chan ssh.NewChannel, <-chan *ssh.Request, error) {
	config := &ssh.ServerConfig{
		ServerVersion: "SSH-2.0-Tuplix",
		MaxAuthTries:  maxTries,
		PasswordCallback: func(c ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			return nil, s.users.CheckPassword(s.ctx, c.User(), string(password))
		},
		PublicKeyCallback: func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			return nil, s.users.CheckKey(s.ctx, c.User(), key.Marshal())
		},
	}
	config.AddHostKey(key)
	if err := conn.SetDeadline(time.Now().Add(loginTime)); err != nil {
		return nil, nil, nil, err
	}
	c, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return nil, nil, nil, err
	}
	return c, channels, requests, conn.SetDeadline(time.Time{})
}

// watch returns when the session's row is gone, or the context ends.
func (s *Server) watch(ctx context.Context, id uint64) {
	for {
		var at engine.Version
		var ranges []engine.Range
		err := s.store.View(ctx, func(tx *table.Tx) error {
			at = tx.Version()
			rows, err := tx.Rows(user.Sessions.Name())
			if err != nil {
				return err
			}
			area, err := rows.Range(table.Prefix(id))
			ranges = []engine.Range{area}
			if err == nil {
				_, err = user.Sessions.Get(tx, id)
			}
			return err
		})
		if err == nil {
			_, err = s.store.Engine().Watch(ctx, at, ranges...)
		}
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, table.ErrNotFound) {
				s.o.Log.Warn("ssh: a session cannot be watched", "session", id, "why", err.Error())
			}
			return
		}
	}
}

// channels serves the channels of a connection, until it ends.
func (s *Server) channels(ctx context.Context, channels <-chan ssh.NewChannel) {
	var open sync.WaitGroup
	defer open.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	places := make(chan struct{}, maxChannels)
	for c := range channels {
		if c.ChannelType() != "session" {
			s.refuse(c, ssh.UnknownChannelType, "only sessions are served")
			continue
		}
		select {
		case places <- struct{}{}:
		default:
			s.refuse(c, ssh.ResourceShortage, fmt.Sprintf("there are %d sessions already", maxChannels))
			continue
		}
		channel, requests, err := c.Accept()
		if err != nil {
			<-places // the connection has ended
			continue
		}
		open.Go(func() {
			defer func() { <-places }()
			s.session(ctx, channel, requests)
		})
	}
}

func (s *Server) refuse(c ssh.NewChannel, why ssh.RejectionReason, text string) {
	if err := c.Reject(why, text); err != nil {
		s.o.Log.Debug("ssh: a refusal did not arrive", "why", err.Error())
	}
}
