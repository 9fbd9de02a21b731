package qemu

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// TestLogin boots a machine that nobody knows yet. Root gets in at the console by what
// it shows, once, and lets ann in, who comes by SSH, also after the next boot, by which
// the machine has not become another.
func TestLogin(t *testing.T) {
	needQEMU(t)
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	ann := ssh.PublicKeys(key)
	c := Config{Disk: blankDisk(t, 128), Memory: 256}
	c.Network.Forwards = []Forward{{Host: port, Guest: 22}}
	c.Line.Env = []string{"TUPLIX_CONSOLE=pipe"}

	g := boot(t, "apps/shell", c)
	once := g.expect(t, `works once: (\w+)\s`)[1] // the whole line has come
	g.expect(t, "login: ")
	g.say(t, "root")
	g.expect(t, "password: ")
	g.say(t, "wrong")
	g.expect(t, "user name, password or key is wrong")
	g.say(t, "root\n"+once)
	g.expect(t, "does not work again")
	g.say(t, "passwd\nlong enough")
	g.say(t, "user add ann; echo '"+strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey())))+"' | user key ann -")
	g.expect(t, "^SHA256:")
	g.say(t, "echo secret > /secret; mkdir -p /srv/all; echo shared > /srv/all/note; user grant ann read path /srv/all")
	g.say(t, "user grant ann submit queue default; user grant ann run program shell")
	g.say(t, "config set ssh.listen :22; exit")
	g.expect(t, "login: ")

	first := remote(t, port, "ann", ann, "whoami; echo hi > note; read x < note; echo $x; exit 3", "ann\nhi\n", 3)
	// Programs reach what she may reach: her directory, and what she was granted.
	remote(t, port, "ann", ann, "cp note copy; ls; grep h copy /srv/all/note; rm copy; readlink -f note; pwd", "copy\nnote\ncopy:hi\n/srv/all/note:shared\n/home/ann/note\n/home/ann\n", 0)
	for _, command := range []string{
		"cat /secret", "ls /", "cp note /srv/all/note", "rm /secret", "ln /secret mine", "mv /secret mine", "ln -s /secret link; cat link",
		"cat /.at/-0s/secret", "find /secret", "touch /secret", "dmesg", "task start -w cat /secret",
	} {
		remote(t, port, "ann", ann, "{ "+command+"; } > out 2>&1 && echo done; rm -f out link; ls", "note\n", 0)
	}
	g.say(t, "root\nlong enough")
	g.say(t, "user sessions | cut -c 10-24; log | grep -c 'ssh: logged in'; poweroff")
	g.expect(t, "^1")
	if code := g.status(t); code != 0 {
		t.Fatalf("exit status %d", code)
	}

	boot(t, "apps/shell", c).expect(t, "login: ")
	second := remote(t, port, "ann", ann, "read x < note; echo $x", "hi\n", 0)
	if string(first.Marshal()) != string(second.Marshal()) {
		t.Error("the machine has another host key")
	}
}

// TestCommandLine boots a machine that is told on its command line all that it has to
// know: how root proves who that is, and who has the time.
func TestCommandLine(t *testing.T) {
	needQEMU(t)
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	const password, ahead = "long enough", time.Hour
	key := newKey(t)
	c := Config{Memory: 256}
	c.Network.Forwards = []Forward{{Host: port, Guest: 22}}
	c.Line.Env = []string{"TUPLIX_CONSOLE=pipe"}
	c.Line.Set("root.key", strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey())))+" me@home")
	c.Line.Set("root.password", password)
	c.Line.Set("set.ssh.listen", ":22")
	c.Line.Set("set.time.servers", fmt.Sprintf("10.0.2.2:%d", timeServer(t, ahead)))

	g := boot(t, "apps/shell", c)
	remote(t, port, "root", ssh.PublicKeys(key), "whoami", "root\n", 0)
	remote(t, port, "root", ssh.Password(password), "whoami", "root\n", 0)
	if strings.Contains(g.Text(), "works once") {
		t.Error("it shows a password for one use")
	}
	for how, auth := range map[string]ssh.AuthMethod{"key": ssh.PublicKeys(newKey(t)), "password": ssh.Password("also long enough")} {
		if client, _, err := dial(port, "root", auth); err == nil {
			t.Errorf("a wrong %s lets root in", how)
			client.Close()
		} else if !strings.Contains(err.Error(), "unable to authenticate") {
			t.Errorf("a wrong %s: %v", how, err)
		}
	}
	g.expect(t, "clock: stepped by (1h0m|59m5)")
	g.say(t, "root\n"+password)
	g.say(t, "date +now:%s; poweroff")
	now := time.Unix(int64(atoi(g.expect(t, `^now:(\d+)\s`)[1])), 0)
	if off := now.Sub(time.Now().Add(ahead)).Abs(); off > patience {
		t.Errorf("it is %v there, %v off", now, off)
	}
	if code := g.status(t); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// timeServer answers who asks this host for the time (RFC 5905), by a clock that is
// ahead, until the test ends.
func timeServer(t *testing.T, ahead time.Duration) (port int) {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), <-ended); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	go func() {
		question := make([]byte, 48)
		for {
			n, from, err := c.ReadFrom(question)
			if err == nil && n == len(question) {
				answer := make([]byte, 48)
				answer[0], answer[1] = 4<<3|4, 1 // version 4, a server; stratum 1
				now := time.Now().Add(ahead)
				for _, at := range []int{16, 32, 40} { // its clock was set, the question came, this goes
					binary.BigEndian.PutUint32(answer[at:], uint32(now.Unix()+2_208_988_800)) // since 1900
					binary.BigEndian.PutUint32(answer[at+4:], uint32(now.Nanosecond()<<32/1e9))
				}
				copy(answer[24:], question[40:]) // when the question went
				_, err = c.WriteTo(answer, from)
			}
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).Port
}

func newKey(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// dial logs a user in, and returns the machine's key as well.
func dial(port int, name string, auth ssh.AuthMethod) (client *ssh.Client, host ssh.PublicKey, err error) {
	client, err = ssh.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &ssh.ClientConfig{
		User: name, Auth: []ssh.AuthMethod{auth}, Timeout: 10 * time.Second,
		HostKeyCallback: func(_ string, _ net.Addr, k ssh.PublicKey) error { host = k; return nil },
	})
	return client, host, err
}

// remote runs a command as a user, whose output must be what is wanted.
func remote(t *testing.T, port int, name string, auth ssh.AuthMethod, command, want string, status int) ssh.PublicKey {
	t.Helper()
	client, host, err := dial(port, name, auth)
	for start := time.Now(); err != nil; client, host, err = dial(port, name, auth) { // until it listens
		if time.Since(start) > patience {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	defer client.Close()
	run, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := run.Output(command)
	got := 0
	if exit := new(ssh.ExitError); errors.As(err, &exit) {
		got, err = exit.ExitStatus(), nil
	}
	if err != nil || got != status || string(out) != want {
		t.Fatalf("%q: status %d, %v, %q", command, got, err, out)
	}
	return host
}
