package qemu

import (
	"crypto/ed25519"
	"crypto/rand"
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
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
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

	first := remote(t, port, key, "whoami; echo hi > note; read x < note; echo $x; exit 3", "ann\nhi\n", 3)
	// Programs reach what she may reach: her directory, and what she was granted.
	remote(t, port, key, "cp note copy; ls; grep h copy /srv/all/note; rm copy; readlink -f note; pwd", "copy\nnote\ncopy:hi\n/srv/all/note:shared\n/home/ann/note\n/home/ann\n", 0)
	for _, command := range []string{
		"cat /secret", "ls /", "cp note /srv/all/note", "rm /secret", "ln /secret mine", "mv /secret mine", "ln -s /secret link; cat link",
		"cat /.at/-0s/secret", "find /secret", "touch /secret", "dmesg", "task start -w cat /secret",
	} {
		remote(t, port, key, "{ "+command+"; } > out 2>&1 && echo done; rm -f out link; ls", "note\n", 0)
	}
	g.say(t, "root\nlong enough")
	g.say(t, "user sessions | cut -c 10-24; log | grep -c 'ssh: logged in'; poweroff")
	g.expect(t, "^1")
	if code := g.status(t); code != 0 {
		t.Fatalf("exit status %d", code)
	}

	boot(t, "apps/shell", c).expect(t, "login: ")
	second := remote(t, port, key, "read x < note; echo $x", "hi\n", 0)
	if string(first.Marshal()) != string(second.Marshal()) {
		t.Error("the machine has another host key")
	}
}

// remote runs a command as ann, whose output must contain what is wanted.
func remote(t *testing.T, port int, key ssh.Signer, command, want string, status int) (host ssh.PublicKey) {
	t.Helper()
	config := &ssh.ClientConfig{
		User: "ann", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, Timeout: 10 * time.Second,
		HostKeyCallback: func(_ string, _ net.Addr, k ssh.PublicKey) error { host = k; return nil },
	}
	var client *ssh.Client
	var err error
	for start := time.Now(); ; time.Sleep(200 * time.Millisecond) { // until it listens
		if client, err = ssh.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), config); err == nil {
			break
		}
		if time.Since(start) > patience {
			t.Fatal(err)
		}
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
