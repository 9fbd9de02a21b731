package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/tuplix/tuplix/apps/shell/console"
	tuplix "github.com/tuplix/tuplix/services/system"
)

// talk is the other end of a console or a connection.
type talk struct {
	t    *testing.T
	send io.Writer

	mu   sync.Mutex
	more *sync.Cond
	said bytes.Buffer
}

func newTalk(t *testing.T, send io.Writer) *talk {
	x := &talk{t: t, send: send}
	x.more = sync.NewCond(&x.mu)
	return x
}

func (x *talk) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.more.Broadcast()
	return x.said.Write(p)
}

// expect waits until something is said, and returns it.
func (x *talk) expect(pattern string) string {
	x.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.AfterFunc(30*time.Second, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		re = nil
		x.more.Broadcast()
	})
	defer late.Stop()
	x.mu.Lock()
	defer x.mu.Unlock()
	for {
		if re == nil {
			x.t.Fatalf("waited in vain for %q; there is %q", pattern, x.said.String())
		}
		if at := re.FindIndex(x.said.Bytes()); at != nil {
			found := string(x.said.Bytes()[at[0]:at[1]])
			x.said.Next(at[1])
			return found
		}
		x.more.Wait()
	}
}

func (x *talk) say(text string) {
	x.t.Helper()
	if _, err := io.WriteString(x.send, text); err != nil {
		x.t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// On the first boot root gets in by what the console shows, once; others by what root
// gives them, and may do what root lets them.
func TestLogin(t *testing.T) {
	in, w, err := os.Pipe()
	must(t, err)
	m := memory(t)
	x := newTalk(t, w)
	seat := &seat{f: flags{first: true}, machine: m, in: in, out: x, interrupts: console.InterruptsOf(context.Background())}
	done := make(chan error, 1)
	go func() {
		_, err := seat.logins()
		done <- err
	}()
	once := strings.TrimPrefix(x.expect(`works once: \w+`), "works once: ")
	x.expect("login: ")
	x.say("root\nwrong\n")
	x.expect("login: user name, password or key is wrong")
	x.say("root\n" + once + "\n")
	x.expect("does not work again")
	x.say("whoami; passwd; rows --json -w user=root os.sessions\nlong enough\n")
	x.expect("root\n")
	x.expect(`"program":"console","from":"console"`)
	home := t.TempDir()
	x.say("user add ann; user passwd ann\nanother one\n")
	x.say("user grant ann run program wc; exit\n")
	x.expect("login: ")
	s, err := m.open(t.Context())
	must(t, err)
	moveHome(t, s, "ann", home)
	x.say("root\n" + once + "\n")
	x.expect("is wrong")
	x.say("ann\nanother one\n")
	x.expect("password: ")
	x.say("whoami; pwd; tables | wc -l; ls /; echo $?; echo mine > note; wc -c < note; wc -l < " + os.Args[0] + "; echo x > /tmp/../tmp/not-mine; user list; cat note\n")
	x.expect(`ann\n` + regexp.QuoteMeta(home) + `\n *0\n126\n *5\n`)
	x.say("exit\n")
	x.expect("login: ")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	must(t, <-done)
}

// moveHome gives a user another directory.
func moveHome(t *testing.T, s *tuplix.System, name, dir string) {
	t.Helper()
	must(t, s.User.SetHome(t.Context(), name, dir))
}

// remoteClient logs ann in to a machine in memory by SSH.
func remoteClient(t *testing.T) *ssh.Client {
	t.Helper()
	m := memory(t)
	s, err := m.open(t.Context())
	must(t, err)
	s.LetIn(m.remote)
	_, err = s.User.Create(t.Context(), "ann")
	must(t, err)
	moveHome(t, s, "ann", t.TempDir())
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	key, err := ssh.NewSignerFromKey(private)
	must(t, err)
	_, err = s.User.AddKey(t.Context(), "ann", string(ssh.MarshalAuthorizedKey(key.PublicKey())))
	must(t, err)
	address := "127.0.0.1:0"
	must(t, s.Config.Set(t.Context(), "ssh.listen", &address))
	for start := time.Now(); s.SSH.Addr() == nil; time.Sleep(time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatal("it does not listen")
		}
	}
	c, err := ssh.Dial("tcp", s.SSH.Addr().String(), &ssh.ClientConfig{
		User: "ann", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestRemoteCommand(t *testing.T) {
	c := remoteClient(t)
	for _, test := range []struct {
		command, in, out string
		status           int
	}{
		{"whoami", "", "ann\n", 0},
		{"read x; echo \"<$x>\"", "one\ntwo\n", "<one>\n", 0},
		{"echo $USER; exit 5", "", "ann\n", 5},
		{"nosuchcommand", "", "nosuchcommand: no such command; help lists all\n", 127},
		{"", "echo a\nwhoami\nexit 3\n", "a\nann\n", 3},
		{"reboot", "", "reboot: user \"ann\" has no right to run program reboot\n", 126},
	} {
		run, err := c.NewSession()
		must(t, err)
		out := new(output)
		run.Stdin, run.Stdout, run.Stderr = strings.NewReader(test.in), out, out
		if test.command == "" {
			must(t, run.Shell())
			err = run.Wait()
		} else {
			err = run.Run(test.command)
		}
		status := 0
		if exit := new(ssh.ExitError); errors.As(err, &exit) {
			status, err = exit.ExitStatus(), nil
		}
		if said := out.take(); err != nil || status != test.status || said != test.out {
			t.Errorf("%q: status %d, %v, %q", test.command, status, err, said)
		}
	}
}

// A person's shell over a connection edits lines, echoes what commands read, and ends
// by Ctrl-C what runs.
func TestRemoteTerminal(t *testing.T) {
	c := remoteClient(t)
	run, err := c.NewSession()
	must(t, err)
	in, err := run.StdinPipe()
	must(t, err)
	x := newTalk(t, in)
	run.Stdout = x
	must(t, run.RequestPty("xterm", 24, 100, nil))
	must(t, run.Shell())
	prompt := `~\x1b\[0m \$ `
	x.expect(prompt)
	x.say("echo hlo" + left + left + "e" + enter)
	x.expect("\nhelo\r\n")
	x.expect(prompt)
	x.say("whoa\t" + enter)
	x.expect("whoami \r\nann\r\n")
	x.expect(prompt)
	x.say("message cr\tbox" + enter)
	x.expect("message create box")
	x.expect(prompt)
	x.say("read v; echo \"[$v]\"" + enter)
	x.say("tipped\x7f\x7f\x7f\x7f\x7fyped" + enter)
	x.expect(`\[typed\]\r\n`)
	x.expect(prompt)
	x.say("while read v; do echo \"+$v\"; done; echo ended" + enter)
	x.expect("\n")
	x.say("a" + enter + "b" + enter + ctrlD)
	x.expect(`\+a\r\n`)
	x.expect(`\+b\r\n`)
	x.expect(`ended\r\n`)
	x.expect(prompt)
	for _, line := range []string{"echo go; sleep 600", "echo go; read v", "echo go; while :; do :; done"} {
		x.say(line + enter)
		x.expect("\ngo\r\n")
		x.say(ctrlC)
		x.expect(`130\x1b\[0m.*` + prompt)
	}
	x.say("echo one; sleep 0.2" + enter)
	x.expect("\none\r\n")
	x.say("echo two" + enter) // ahead
	x.expect(`\ntwo\r\n`)
	x.expect(prompt)
	x.say("passwd" + enter)
	x.expect("new password of ann: ")
	x.say("very secret" + enter)
	x.expect("once more: ")
	x.say("very secret" + enter)
	if said := x.expect(prompt); strings.Contains(said, "secret") {
		t.Errorf("it shows %q", said)
	}
	x.say("half" + ctrlC)
	x.expect(`\^C\r\n.*` + prompt)
	x.say("exit 4" + enter)
	var exit *ssh.ExitError
	if err := run.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != 4 {
		t.Errorf("it ended with %v", err)
	}
}
