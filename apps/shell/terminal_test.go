package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asShell makes the test binary be the shell itself.
const asShell = "SHELL_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asShell) != "" {
		main()
	}
	os.Exit(m.Run())
}

// shellCommand returns the shell as a process of its own.
func shellCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), asShell+"=1", "HOME="+cmd.Dir, "HISTFILE="+filepath.Join(cmd.Dir, "kept", "history"))
	return cmd
}

// terminal is a shell on a pseudo terminal.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File

	mu     sync.Mutex
	screen bytes.Buffer
	came   chan struct{} // gets a value when the screen changed
}

// openTerminal starts a shell on a new pseudo terminal, whose size is 0 by 0 as
// that of a serial line.
func openTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	conn, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	if err := conn.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	x := &terminal{t: t, cmd: cmd, master: master, came: make(chan struct{}, 1)}
	go x.watch()
	t.Cleanup(func() {
		cmd.Process.Kill() // it may have ended
		master.Close()
	})
	return x
}

func (x *terminal) watch() {
	buf := make([]byte, 4096)
	for {
		n, err := x.master.Read(buf)
		x.mu.Lock()
		x.screen.Write(buf[:n])
		x.mu.Unlock()
		select {
		case x.came <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// expect waits until text has come and forgets everything up to its end.
func (x *terminal) expect(text string) {
	x.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		x.mu.Lock()
		all := x.screen.String()
		at := strings.Index(all, text)
		if at >= 0 {
			x.screen.Next(at + len(text))
		}
		x.mu.Unlock()
		if at >= 0 {
			return
		}
		select {
		case <-x.came:
		case <-limit:
			x.t.Fatalf("waited in vain for %q; the screen shows %q", text, all)
		}
	}
}

func (x *terminal) send(keys string) {
	x.t.Helper()
	if _, err := x.master.WriteString(keys); err != nil {
		x.t.Fatal(err)
	}
}

// end waits for the shell to end with a status.
func (x *terminal) end(want int) {
	x.t.Helper()
	done := make(chan error, 1)
	go func() { done <- x.cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		x.t.Fatal("the shell does not end")
	}
	if got := x.cmd.ProcessState.ExitCode(); got != want {
		x.t.Errorf("the shell ended with status %d, want %d", got, want)
	}
}

const (
	ready = " $ " // the end of the prompt
	up    = "\x1b[A"
	left  = "\x1b[D"
	ctrlA = "\x01"
	ctrlC = "\x03"
	ctrlD = "\x04"
	ctrlK = "\x0b"
	ctrlR = "\x12"
	enter = "\r"
)

func TestEditing(t *testing.T) {
	x := openTerminal(t, shellCommand(t))
	x.expect(ready)
	x.send("echo wrld" + left + left + left + "o" + enter)
	x.expect("\nworld")
	x.expect(ready)
	x.send("cho start" + ctrlA + "e" + enter)
	x.expect("\nstart")
	x.expect(ready)
	x.send(up + up + enter)
	x.expect("\nworld")
	x.expect(ready)
	x.send("junk" + ctrlA + ctrlK + "echo clean" + enter)
	x.expect("\nclean")
	x.expect(ready)
	x.send("sta" + ctrlR)
	x.expect("echo start")
	x.send(enter)
	x.expect("\nstart")
	x.expect(ready)
	x.send("for i in 1 2; do" + enter)
	x.expect("> ")
	x.send("echo n$i" + enter)
	x.expect("> ")
	x.send("done" + enter)
	x.expect("n1\r\nn2")
	x.expect(ready)
	x.send("false" + enter)
	x.expect("1\x1b[0m")
	x.send(ctrlD)
	x.end(1)
	kept, err := os.ReadFile(filepath.Join(x.cmd.Dir, "kept", "history"))
	if err != nil || !strings.HasPrefix(string(kept), "echo world\necho start\n") {
		t.Errorf("the history holds %q, %v", kept, err)
	}
}

func TestCompletion(t *testing.T) {
	cmd := shellCommand(t)
	for _, name := range []string{"alone one", "pair-a", "pair-b"} {
		if err := os.WriteFile(filepath.Join(cmd.Dir, name), []byte("text of "+name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	x := openTerminal(t, cmd)
	x.expect(ready)
	x.send("sha256\t")
	x.expect("sha256sum ")
	x.send(ctrlC)
	x.expect("^C")
	x.expect(ready)
	x.send("cat al\t" + enter)
	x.expect(`alone\ one`)
	x.expect("\ntext of alone one")
	x.expect(ready)
	x.send("cat p\t")
	x.expect("pair-")
	x.send("\t")
	x.expect("pair-a  pair-b")
	x.send("b" + enter)
	x.expect("\ntext of pair-b")
	x.expect(ready)
	x.send("exit 3" + enter)
	x.end(3)
}

// TestControlC sees that Ctrl-C ends what runs and what is being typed, never
// the shell, and that a command which was reading leaves the next line alone.
func TestControlC(t *testing.T) {
	x := openTerminal(t, shellCommand(t))
	x.expect(ready)
	for _, line := range []string{"echo go; sleep 600", "echo go; cat", "echo go; read v", "echo go; while :; do :; done"} {
		x.send(line + enter)
		x.expect("\ngo")
		t.Logf("interrupting %q", line)
		x.send(ctrlC)
		x.expect("130\x1b[0m")
		x.expect(ready)
	}
	x.send("half a line" + ctrlC)
	x.expect("^C")
	x.expect(ready)
	x.send("if true; then" + enter)
	x.expect("> ")
	x.send(ctrlC)
	x.expect("^C")
	x.expect(ready)
	x.send("cat" + enter + "typed ahead" + enter)
	x.expect("\ntyped ahead")
	x.send("typed" + enter)
	x.expect("typed\r\ntyped")
	x.send(ctrlD)
	x.expect(ready)
	x.send("echo still here" + enter)
	x.expect("\nstill here")
	x.expect(ready)
	x.send("exit" + enter)
	x.end(0)
}

// TestPiped sees that a script from a pipe runs as it arrives, without a word
// of the shell's own, and leaves to its commands what is theirs.
func TestPiped(t *testing.T) {
	cmd := shellCommand(t)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	for _, step := range []struct{ write, want string }{
		{"echo one\n", "one\n"},
		{"read v\nvalue\necho got $v\n", "got value\n"},
		{"head -n 1 | tr a-z A-Z\nshout\n", "SHOUT\n"},
	} {
		if _, err := in.Write([]byte(step.write)); err != nil {
			t.Fatal(err)
		}
		n, err := io.ReadFull(out, buf[:len(step.want)])
		if err != nil || string(buf[:n]) != step.want {
			t.Fatalf("%q printed %q, %v; want %q", step.write, buf[:n], err, step.want)
		}
	}
	if _, err := in.Write([]byte("exit 4\necho never\n")); err != nil {
		t.Fatal(err)
	}
	n, _ := out.Read(buf)
	if err := cmd.Wait(); n != 0 || cmd.ProcessState.ExitCode() != 4 {
		t.Errorf("after exit it printed %q and ended with %v", buf[:n], err)
	}
}

// TestArguments sees scripts given by -c and as a file.
func TestArguments(t *testing.T) {
	cmd := shellCommand(t, "-c", "echo $1-$2; exit 5", "a", "b")
	out, err := cmd.Output()
	if string(out) != "a-b\n" || cmd.ProcessState.ExitCode() != 5 {
		t.Errorf("-c printed %q and ended with %v", out, err)
	}
	cmd = shellCommand(t, "script", "x")
	if err := os.WriteFile(filepath.Join(cmd.Dir, "script"), []byte("echo file $1\nfalse"), 0o666); err != nil {
		t.Fatal(err)
	}
	out, err = cmd.Output()
	if string(out) != "file x\n" || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("a file printed %q and ended with %v", out, err)
	}
}

// TestMachine sees what the first process of a machine adds.
func TestMachine(t *testing.T) {
	cmd := shellCommand(t, "-init", "-page", "127.0.0.1:0")
	cmd.Env = append(cmd.Env, "TUPLIX_FORWARDS=8080:80")
	cmd.Stdin = strings.NewReader("echo hi\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(out), "\n")
	if !strings.HasPrefix(first, "Tuplix ready in ") || !strings.HasSuffix(first, "http://localhost:8080/ (host port 8080)") || rest != "hi\n" {
		t.Errorf("it printed %q", out)
	}
}

// TestSilentTerminal sees that a program which writes to a terminal gets no
// prompt and no echo, as where a machine's console is a pipe outside.
func TestSilentTerminal(t *testing.T) {
	cmd := shellCommand(t, "-init", "-page", "")
	cmd.Env = append(cmd.Env, "TUPLIX_CONSOLE=pipe")
	x := openTerminal(t, cmd)
	x.expect("Tuplix ready in ")
	x.expect("shell on this console\r\n")
	x.send("echo one\nread v\nvalue\necho got $v\n" + ctrlD)
	x.end(0)
	x.expect("one\r\ngot value\r\n") // with nothing between
	x.mu.Lock()
	defer x.mu.Unlock()
	if rest := x.screen.String(); rest != "" {
		t.Errorf("more than the answers: %q", rest)
	}
}
