package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrMissing: PostgreSQL is not installed.
var ErrMissing = errors.New("PostgreSQL is not installed; install it first (Debian: apt-get install --no-install-recommends postgresql-15)")

// startTime is how long a server may take to answer.
const startTime = 30 * time.Second

// Server is a running server.
type Server struct {
	Dir  string // of the socket
	User string // who may connect
	URL  string // for pgx
	dir  string // of all of it
	cmd  *exec.Cmd
	log  *bytes.Buffer
	done chan error // the server's end
}

// Start makes a cluster and starts its server, with settings such as "fsync=on"
// that win over those of tests. If there is no PostgreSQL on this host, it fails
// with ErrMissing.
func Start(settings ...string) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	as, err := serverUser()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/tmp", "tuplix-pg-") // short: the name of a socket has 107 bytes
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, Dir: dir, User: me.Username, log: new(bytes.Buffer), done: make(chan error, 1)}
	s.URL = fmt.Sprintf("host=%s user=%s database=postgres", dir, me.Username)
	if err := s.start(bin, me.Username, as, settings); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// binaries is the directory of the newest server on this host.
func binaries() (string, error) {
	if found, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(found), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", ErrMissing
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

// serverUser is whom the server runs as; nil is whoever runs the tests.
func serverUser() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func (s *Server) start(bin, owner string, as *syscall.Credential, settings []string) error {
	if as != nil {
		if err := os.Chown(s.dir, int(as.Uid), int(as.Gid)); err != nil {
			return err
		}
	}
	data := filepath.Join(s.dir, "data")
	initdb := s.command(as, filepath.Join(bin, "initdb"), "-D", data, "-U", owner, "--auth=peer",
		"-E", "UTF8", "--locale=C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	args := []string{"-D", data}
	for _, set := range append([]string{"listen_addresses=", "unix_socket_directories=" + s.dir, "max_connections=200",
		"fsync=off", "full_page_writes=off", "autovacuum_naptime=1min"}, settings...) {
		args = append(args, "-c", set)
	}
	s.cmd = s.command(as, filepath.Join(bin, "postgres"), args...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() { s.done <- s.cmd.Wait() }()
	if err := s.answer(); err != nil {
		return errors.Join(err, s.kill())
	}
	return nil
}

// command runs a program as the server's user, in its directory. It ends with
// the tests, however they end.
func (s *Server) command(as *syscall.Credential, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGQUIT}
	return cmd
}

// answer waits until the server does.
func (s *Server) answer() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case end := <-s.done:
			s.done <- end
			return fmt.Errorf("the server ended: %v: %s", end, s.log)
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the server and removes all of it.
func (s *Server) Stop() error {
	return errors.Join(s.kill(), os.RemoveAll(s.dir))
}

// kill ends the server at once.
func (s *Server) kill() error {
	if err := s.cmd.Process.Signal(syscall.SIGQUIT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.done
	return nil
}
