package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tuplix/tuplix/dbms/blockcrypt"
	"github.com/tuplix/tuplix/dbms/blockdev"
)

// person sits at a terminal and answers questions in their order.
type person struct {
	mu      sync.Mutex
	seen    bytes.Buffer
	answers []string
	slave   string
}

func newPerson(t *testing.T, answers ...string) *person {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &person{answers: answers, slave: fmt.Sprintf("/dev/pts/%d", number)}
	hold, err := p.open() // so that the line does not hang up in between
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		hold.Close()
		master.Close()
	})
	go p.serve(master)
	return p
}

func (p *person) open() (*os.File, error) {
	return os.OpenFile(p.slave, os.O_RDWR|unix.O_NOCTTY, 0)
}

// serve answers what ends like a question once the terminal shows no keys.
func (p *person) serve(master *os.File) {
	buf := make([]byte, 4096)
	for {
		n, err := master.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.seen.Write(buf[:n])
		asked := bytes.HasSuffix(buf[:n], []byte(": ")) && len(p.answers) > 0
		answer := ""
		if asked {
			answer, p.answers = p.answers[0], p.answers[1:]
		}
		p.mu.Unlock()
		if asked && silent(master) {
			fmt.Fprintf(master, "%s\n", answer)
		}
	}
}

// silent waits until keys are not shown.
func silent(master *os.File) bool {
	for range 5000 {
		if s, err := unix.IoctlGetTermios(int(master.Fd()), unix.TCGETS); err != nil || s.Lflag&unix.ECHO == 0 {
			return err == nil
		}
		time.Sleep(time.Millisecond) // nothing tells when a terminal's mode changes
	}
	return false
}

func (p *person) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.String()
}

func newImage(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.img")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 16<<20)); err != nil {
		t.Fatal(err)
	}
	return path
}

var recoveryForm = regexp.MustCompile(`(\w{4}-){13}\w{4}`)

// small keeps deriving keys quick.
const small = 32

func TestPassphrase(t *testing.T) {
	path := newImage(t)
	p := newPerson(t, "correct horse", "correct horse")
	k := keyFlags{encrypt: true, open: p.open}
	key, err := k.key(t.Context(), path, small)
	if err != nil || string(key) != "correct horse" {
		t.Fatalf("%q, %v", key, err)
	}
	var recovery string
	for recovery == "" && t.Context().Err() == nil {
		recovery = recoveryForm.FindString(p.text())
	}
	for _, c := range []struct {
		answers []string
		want    error
	}{
		{[]string{"correct horse"}, nil},
		{[]string{"wrong", recovery}, nil},
		{[]string{"wrong", "wrong", "wrong"}, blockcrypt.ErrKey},
	} {
		p := newPerson(t, c.answers...)
		k := keyFlags{open: p.open}
		key, err := k.key(t.Context(), path, small)
		if !errors.Is(err, c.want) || err == nil && string(key) != c.answers[len(c.answers)-1] {
			t.Errorf("%q: %q, %v", c.answers, key, err)
		}
		for _, a := range c.answers {
			if strings.Contains(p.text(), a) {
				t.Errorf("%q is shown", a)
			}
		}
	}
}

func TestPassphraseIsRefused(t *testing.T) {
	for _, answers := range [][]string{{"short"}, {"correct horse", "correct house"}} {
		path := newImage(t)
		k := keyFlags{encrypt: true, open: newPerson(t, answers...).open}
		if key, err := k.key(t.Context(), path, small); err == nil {
			t.Errorf("%q: %q", answers, key)
		}
		if err := withDisk(path, listKeys); !errors.Is(err, blockcrypt.ErrPlain) {
			t.Errorf("%q: %v", answers, err)
		}
	}
}

func TestAskEndsWithTheTool(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	k := keyFlags{encrypt: true, open: newPerson(t).open}
	if _, err := k.key(ctx, newImage(t), small); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func noTerminal() (*os.File, error) { return nil, errNoTerminal }

func TestKeyFile(t *testing.T) {
	path, file := newImage(t), filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("thirty-two bytes or whatever\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := keyFlags{keyFile: file, open: noTerminal}
	if _, err := plain.key(t.Context(), path, small); err == nil || !strings.Contains(err.Error(), "not encrypted") {
		t.Error(err)
	}
	made := keyFlags{encrypt: true, keyFile: file, open: noTerminal}
	for range 2 { // the second time it is there
		if key, err := made.key(t.Context(), path, small); err != nil || string(key) != "thirty-two bytes or whatever\n" {
			t.Fatalf("%q, %v", key, err)
		}
	}
	none := keyFlags{open: noTerminal}
	if _, err := none.key(t.Context(), path, small); !errors.Is(err, errNoTerminal) {
		t.Error(err)
	}
	err := withDisk(path, func(dev *blockdev.File) error {
		info, err := blockcrypt.Inspect(dev)
		if len(info.Slots) != 1 || info.Slots[0].Kind != blockcrypt.KeyFile || info.Slots[0].Cost != costFor(small) {
			t.Errorf("%+v", info)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestKeyFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		size int
		mode os.FileMode
	}{"empty": {0, 0o600}, "large": {blockcrypt.MaxSecret + 1, 0o600}, "public": {32, 0o644}} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(file, make([]byte, c.size), 0o600), os.Chmod(file, c.mode)); err != nil {
			t.Fatal(err)
		}
		if _, err := readKeyFile(file); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := readKeyFile(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	file := filepath.Join(dir, "most")
	if err := os.WriteFile(file, make([]byte, blockcrypt.MaxSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	if key, err := readKeyFile(file); err != nil || len(key) != blockcrypt.MaxSecret {
		t.Error(len(key), err)
	}
}

// TestDiskCommand changes all keys of a disk.
func TestDiskCommand(t *testing.T) {
	path, dir := newImage(t), t.TempDir()
	files := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		files[name] = filepath.Join(dir, name)
		if err := os.WriteFile(files[name], []byte("key "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k := keyFlags{encrypt: true, keyFile: files["a"], open: noTerminal}
	if _, err := k.key(t.Context(), path, small); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		fine bool
	}{
		{"keys " + path, true},
		{"add -key-file " + files["a"] + " -new-key-file " + files["b"] + " " + path, true},
		{"passwd -key-file " + files["a"] + " -new-key-file " + files["c"] + " " + path, true},
		{"add -key-file " + files["a"] + " -new-key-file " + files["b"] + " " + path, false}, // a is gone
		{"remove -key-file " + files["c"] + " " + path + " 1", true},
		{"remove -key-file " + files["c"] + " " + path + " 0", false}, // the last one
		{"remove -key-file " + files["c"] + " " + path + " x", false},
		{"remove -key-file " + files["c"] + " " + path, false},
		{"eat " + path, false},
		{"", false},
	} {
		f := flag.NewFlagSet("disk", flag.ContinueOnError)
		if _, err := runDisk(t.Context(), f, strings.Fields(c.args)); (err == nil) != c.fine {
			t.Errorf("%s: %v", c.args, err)
		}
	}
	k = keyFlags{keyFile: files["c"], open: noTerminal}
	if _, err := k.key(t.Context(), path, small); err != nil {
		t.Error(err)
	}
}
