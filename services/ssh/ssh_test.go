package ssh_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	client "golang.org/x/crypto/ssh"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/ssh"
	"github.com/tuplix/tuplix/services/user"
)

// place is a server and what it stands on.
type place struct {
	store  *store.Store
	users  *user.Service
	server *ssh.Server
	key    client.Signer // of ann, whose password is "right and long"
}

func open(t *testing.T, handler ssh.Handler) *place {
	t.Helper()
	ctx := t.Context()
	tables := slices.Concat(ssh.Tables(), user.Tables(), config.Tables())
	s, err := store.Open(ctx, vfs.NewMem(), store.Options{}, tables...)
	must(t, err)
	now := time.Now() // stands: nobody has waited long enough after wrong passwords
	users, err := user.Open(ctx, s, user.Options{Now: func() time.Time { return now }})
	must(t, err)
	c, err := config.Open(ctx, s, config.Options{Override: map[string]string{"ssh.listen": "127.0.0.1:0"}}, ssh.Settings()...)
	must(t, err)
	_, err = users.Create(ctx, "ann")
	must(t, err)
	must(t, users.SetPassword(ctx, "ann", "right and long"))
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	key, err := client.NewSignerFromKey(private)
	must(t, err)
	_, err = users.AddKey(ctx, "ann", string(client.MarshalAuthorizedKey(key.PublicKey())))
	must(t, err)
	server := ssh.Open(s, users, c, ssh.Options{Handler: handler, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		server.Close()
		c.Close()
		must(t, s.Close())
	})
	return &place{s, users, server, key}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dial logs in, and returns the host's key too.
func (p *place) dial(t *testing.T, name string, auth ...client.AuthMethod) (*client.Client, client.PublicKey, error) {
	t.Helper()
	var host client.PublicKey
	c, err := client.Dial("tcp", p.server.Addr().String(), &client.ClientConfig{
		User: name, Auth: auth, Timeout: 20 * time.Second,
		HostKeyCallback: func(_ string, _ net.Addr, key client.PublicKey) error { host = key; return nil },
	})
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, host, err
}

func (p *place) sessions(t *testing.T) (list []user.Session) {
	t.Helper()
	must(t, p.store.View(t.Context(), func(tx *table.Tx) error {
		for x, err := range user.Sessions.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			list = append(list, x)
		}
		return nil
	}))
	return list
}

// whoami tells who the caller is and what they want, copies the input and ends with 7.
func whoami(ctx context.Context, s *ssh.Session) int {
	w, h := s.Size()
	fmt.Fprintf(s.Out, "%s by %s wants %q on %dx%d with %v\n", user.From(ctx).User, user.From(ctx).Program, s.Command, w, h, s.Env)
	fmt.Fprintln(s.Err, "aside")
	if _, err := io.Copy(s.Out, s.In); err != nil {
		return 1
	}
	return 7
}

func TestLogin(t *testing.T) {
	p := open(t, whoami)
	for name, auth := range map[string]client.AuthMethod{
		"password": client.Password("right and long"), "key": client.PublicKeys(p.key),
	} {
		c, host, err := p.dial(t, "ann", auth)
		must(t, err)
		if host.Type() != client.KeyAlgoED25519 {
			t.Errorf("the host's key is a %s", host.Type())
		}
		var list []user.Session
		await(t, "a session", func() bool { list = p.sessions(t); return len(list) > 0 })
		if len(list) != 1 || list[0].User != "ann" || list[0].Program != "ssh" || !strings.HasPrefix(list[0].From, "127.0.0.1:") {
			t.Errorf("by %s: the sessions are %+v", name, list)
		}
		run, err := c.NewSession()
		must(t, err)
		var out, aside bytes.Buffer
		run.Stdin, run.Stdout, run.Stderr = strings.NewReader("input"), &out, &aside
		must(t, run.Setenv("LANG", "C"))
		if run.Setenv("LD_PRELOAD", "x") == nil {
			t.Error("a variable that changes programs was taken")
		}
		must(t, run.RequestPty("xterm", 40, 120, nil))
		err = run.Run("do it")
		var exit *client.ExitError
		if !errors.As(err, &exit) || exit.ExitStatus() != 7 {
			t.Errorf("by %s: it ended with %v", name, err)
		}
		if want := "ann by ssh wants \"do it\" on 120x40 with [LANG=C TERM=xterm]\ninput"; out.String() != want || aside.String() != "aside\n" {
			t.Errorf("by %s: %q and %q", name, out.String(), aside.String())
		}
		must(t, c.Close())
		await(t, "the session's row goes", func() bool { return len(p.sessions(t)) == 0 })
	}
	_, first, err := p.dial(t, "ann", client.PublicKeys(p.key))
	must(t, err)
	if _, again, err := p.dial(t, "ann", client.PublicKeys(p.key)); err != nil || !bytes.Equal(first.Marshal(), again.Marshal()) {
		t.Error("the host's key changes")
	}
}

// await waits for something that another goroutine is about to do.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for start := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestRefusals(t *testing.T) {
	p := open(t, func(context.Context, *ssh.Session) int { t.Error("somebody got in"); return 0 })
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	other, err := client.NewSignerFromKey(stranger)
	must(t, err)
	for name, auth := range map[string]client.AuthMethod{
		"root": client.Password("right and long"), "ann": client.Password("wrong and long"), "nobody": client.Password(""),
		"bob": client.PublicKeys(p.key), "ann ": client.PublicKeys(other),
	} {
		if _, _, err := p.dial(t, strings.TrimSpace(name), auth); err == nil {
			t.Errorf("%s got in by %T", name, auth)
		}
	}
	for range 6 { // wrong passwords make the right one wait
		if _, _, err = p.dial(t, "ann", client.Password("wrong and long")); err == nil {
			t.Error("a wrong password is taken")
		}
	}
	if _, _, err = p.dial(t, "ann", client.Password("right and long")); err == nil {
		t.Error("passwords can be guessed as fast as one likes")
	}
	if n := len(p.sessions(t)); n != 0 {
		t.Errorf("%d sessions", n)
	}
	must(t, p.users.Disable(t.Context(), "ann", true))
	if _, _, err = p.dial(t, "ann", client.PublicKeys(p.key)); err == nil {
		t.Error("who is disabled got in")
	}
}

// A session ends with its row, what runs in it with the connection; what is not
// served is refused.
func TestEnds(t *testing.T) {
	began, ended := make(chan struct{}, 10), make(chan struct{}, 10)
	p := open(t, func(ctx context.Context, s *ssh.Session) int {
		began <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}
		return 0
	})
	c, _, err := p.dial(t, "ann", client.PublicKeys(p.key))
	must(t, err)
	for _, kind := range []string{"direct-tcpip", "x11", "nonsense"} {
		if _, _, err := c.OpenChannel(kind, nil); err == nil {
			t.Errorf("a channel %q was opened", kind)
		}
	}
	run, err := c.NewSession()
	must(t, err)
	if run.RequestSubsystem("sftp") == nil {
		t.Error("sftp was promised")
	}
	must(t, run.Start("wait"))
	<-began
	must(t, p.users.EndSession(t.Context(), p.sessions(t)[0].ID))
	<-ended
	if err := run.Wait(); err == nil {
		t.Error("it ended well")
	}

	c, _, err = p.dial(t, "ann", client.PublicKeys(p.key))
	must(t, err)
	run, err = c.NewSession()
	must(t, err)
	must(t, run.Start("wait"))
	<-began
	must(t, c.Close())
	<-ended

	c, _, err = p.dial(t, "ann", client.PublicKeys(p.key))
	must(t, err)
	run, err = c.NewSession()
	must(t, err)
	must(t, run.Shell())
	<-began
	p.server.Close()
	<-ended
	if p.server.Addr() != nil {
		t.Error("it still listens")
	}
}

// Sizes and interrupts reach the handler.
func TestTerminal(t *testing.T) {
	changes := make(chan string, 10)
	p := open(t, func(ctx context.Context, s *ssh.Session) int {
		s.Notify(func(w, h int) { changes <- fmt.Sprintf("%dx%d", w, h) }, func() { changes <- "interrupt" })
		changes <- fmt.Sprint("terminal ", s.Terminal)
		<-ctx.Done()
		return 0
	})
	c, _, err := p.dial(t, "ann", client.PublicKeys(p.key))
	must(t, err)
	run, err := c.NewSession()
	must(t, err)
	must(t, run.RequestPty("vt100", 24, 80, nil))
	must(t, run.Shell())
	expect := func(want string) {
		t.Helper()
		if got := <-changes; got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	expect("terminal true")
	must(t, run.WindowChange(50, 132))
	expect("132x50")
	must(t, run.WindowChange(1<<30, 1<<30))
	expect("1000x1000")
	must(t, run.Signal(client.SIGINT))
	expect("interrupt")
}
