package qemu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Program is the name of the emulator.
const Program = "qemu-system-x86_64"

// File descriptors that QEMU inherits, in the order of exec.Cmd.ExtraFiles.
const (
	statusFD  = 3
	monitorFD = 4
	keyFD     = 5 // if there is a key
)

// Machine is a running machine.
type Machine struct {
	cmd     *exec.Cmd
	input   *os.File // write end of the console's input
	monitor *monitor
	stderr  bytes.Buffer // complete once done is closed
	done    chan struct{}
	exit    Exit
	err     error

	mu     sync.Mutex
	killed bool // the machine was ended from outside
	quit   bool // by the person at the console
}

// Exit tells how a machine ended.
type Exit struct {
	Reported bool   // the guest wrote an exit status
	Status   int    // that status, 0 to 255
	QEMU     int    // exit status of QEMU; -1 if it was killed
	Killed   bool   // it was ended from outside: Kill, or the context
	Quit     bool   // it was ended by the person at the console
	Stderr   string // what QEMU itself had to say
}

// Start boots a machine. What the guest writes to its console goes to output,
// which must not block for ever. The machine is killed when ctx is done.
func Start(ctx context.Context, c Config, output io.Writer) (*Machine, error) {
	path, err := find()
	if err != nil {
		return nil, err
	}
	choice, err := c.Accel.choose(ctx, path)
	if err != nil {
		return nil, err
	}
	args, err := c.arguments(choice)
	if err != nil {
		return nil, err
	}
	m := &Machine{done: make(chan struct{})}
	pipes, err := m.connect(path, args, output)
	if err != nil {
		return nil, err
	}
	if c.Key != nil {
		if err := m.handOver(pipes, c.Key); err != nil {
			pipes.close()
			m.input.Close()
			m.monitor.close()
			return nil, err
		}
	}
	if err := m.launch(pipes); err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, m.Kill)
	return m, nil
}

// find returns the path of the emulator.
func find() (string, error) {
	path, err := exec.LookPath(Program)
	if err != nil {
		return "", fmt.Errorf("%s is not installed: on Debian or Ubuntu, apt-get install --no-install-recommends qemu-system-x86", Program)
	}
	return path, nil
}

// plumbing is the host's side of the pipes to a machine, and the guest's side,
// which is closed here once QEMU has its own copies.
type plumbing struct {
	status *os.File
	theirs []*os.File
}

func (p *plumbing) closeTheirs() {
	for _, f := range p.theirs {
		f.Close()
	}
}

func (p *plumbing) close() {
	p.closeTheirs()
	p.status.Close()
}

// connect prepares the command and its pipes.
func (m *Machine) connect(path string, args []string, output io.Writer) (*plumbing, error) {
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	statusR, statusW, err := os.Pipe()
	if err != nil {
		inR.Close()
		inW.Close()
		return nil, err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		for _, f := range []*os.File{inR, inW, statusR, statusW} {
			f.Close()
		}
		return nil, err
	}
	m.input = inW
	m.monitor = newMonitor(ours)
	m.cmd = exec.Command(path, args...)
	m.cmd.Stdin, m.cmd.Stdout, m.cmd.Stderr = inR, output, &m.stderr
	m.cmd.ExtraFiles = []*os.File{statusW, theirs}
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return &plumbing{status: statusR, theirs: []*os.File{inR, statusW, theirs}}, nil
}

// handOver leaves the key in a pipe, which QEMU reads once: it is in no file and
// on no command line.
func (m *Machine) handOver(p *plumbing, key []byte) error {
	if len(key) > MaxKey {
		return fmt.Errorf("the disk's key has %d bytes, at most %d can be handed over", len(key), MaxKey)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	p.theirs = append(p.theirs, r)
	m.cmd.ExtraFiles = append(m.cmd.ExtraFiles, r)
	_, err = w.Write(key) // does not block: the pipe holds that much
	return errors.Join(err, w.Close())
}

// launch starts QEMU and a goroutine that waits for its end. The kernel sends
// the parent-death signal when the thread that started the child ends, so that
// goroutine keeps its thread.
func (m *Machine) launch(p *plumbing) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := m.cmd.Start()
		p.closeTheirs()
		started <- err
		if err != nil {
			p.status.Close()
			m.input.Close()
			m.monitor.close()
			return
		}
		m.await(p.status)
	}()
	return <-started
}

// await collects the guest's status and QEMU's, and closes done.
func (m *Machine) await(statusPipe *os.File) {
	defer close(m.done)
	said := make(chan []byte, 1)
	go func() {
		defer statusPipe.Close()
		said <- lastBytes(statusPipe, 256)
	}()
	err := m.cmd.Wait()
	m.exit.QEMU = m.cmd.ProcessState.ExitCode()
	var exitErr *exec.ExitError
	if err != nil && !errors.As(err, &exitErr) {
		m.err = err
	}
	m.exit.Status, m.exit.Reported = parseStatus(<-said)
	m.exit.Stderr = strings.TrimSpace(m.stderr.String())
	m.mu.Lock()
	m.exit.Killed, m.exit.Quit = m.killed, m.quit
	m.mu.Unlock()
	m.input.Close()
	m.monitor.close()
}

// lastBytes reads to the end and returns at most the last n bytes: a guest may
// write what it likes to the status port.
func lastBytes(r io.Reader, n int) []byte {
	var tail []byte
	buf := make([]byte, 4096)
	for {
		k, err := r.Read(buf)
		tail = append(tail, buf[:k]...)
		if extra := len(tail) - n; extra > 0 {
			tail = append(tail[:0], tail[extra:]...)
		}
		if err != nil {
			return tail
		}
	}
}

// parseStatus finds the last line "exit N" in what the guest wrote to its
// status port.
func parseStatus(text []byte) (status int, ok bool) {
	lines := strings.Split(string(text), "\n")
	for i := len(lines) - 2; i >= 0; i-- { // what follows the last newline is no line
		number, found := strings.CutPrefix(lines[i], "exit ")
		if !found {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 8)
		if err == nil {
			return int(n), true
		}
	}
	return 0, false
}

// Input is the console's keyboard. Writing blocks while the guest does not
// read; it fails once the machine has ended.
func (m *Machine) Input() io.Writer { return m.input }

// Done is closed when the machine has ended.
func (m *Machine) Done() <-chan struct{} { return m.done }

// Wait blocks until the machine has ended.
func (m *Machine) Wait() (Exit, error) {
	<-m.done
	return m.exit, m.err
}

// Kill ends the machine as pulling the plug would. What the guest has written
// to its disk without a flush may or may not be in the file.
func (m *Machine) Kill() { m.end(false) }

func (m *Machine) end(quit bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.done:
		return
	default:
	}
	m.killed, m.quit = true, quit
	// The process may have ended by itself just now; then there is nothing to do.
	_ = m.cmd.Process.Kill()
}

// Reset restarts the machine as its reset button would.
func (m *Machine) Reset() error {
	_, err := m.monitor.execute("system_reset", nil)
	return err
}

// Registers is what QEMU tells of the registers of all processors, to be read by people:
// where a machine is that does not answer. It blocks for some seconds at most.
func (m *Machine) Registers() (string, error) {
	// The machine protocol has no command of its own for it.
	told, err := m.monitor.execute("human-monitor-command", map[string]string{"command-line": "info registers -a"})
	if err != nil {
		return "", err
	}
	var text string
	err = json.Unmarshal(told, &text)
	return strings.ReplaceAll(text, "\r\n", "\n"), err
}

// Report has the guest stop with a kernel panic, which reports what all its goroutines
// do: by a non-maskable interrupt, which a machine takes whatever else it is stuck in.
func (m *Machine) Report() error {
	_, err := m.monitor.execute("inject-nmi", nil)
	return err
}

// Diagnose ends a machine that does not do what it should. It returns the registers of
// its processors, and has the guest report on the console first, for which it may take
// as long as patience.
func (m *Machine) Diagnose(patience time.Duration) string {
	defer m.Kill()
	text, err := m.Registers()
	if err == nil {
		err = m.Report()
	}
	if err != nil {
		return text + err.Error() + "\n"
	}
	select {
	case <-m.done:
		return text
	case <-time.After(patience):
		return text + "the guest does not report\n"
	}
}

// PID is the process id of the emulator.
func (m *Machine) PID() int { return m.cmd.Process.Pid }

// Code turns the way a machine ended into an exit status for a tool: the
// program's own, 0 if the person at the console ended the machine, or an error
// if it was ended otherwise.
func (e Exit) Code() (int, error) {
	switch {
	case e.Quit:
		return 0, nil
	case e.Killed:
		return 0, errors.New("the machine was stopped")
	case e.QEMU < 0:
		return 0, errors.New("QEMU was killed")
	case e.Reported:
		return e.Status, nil
	case e.QEMU == 0:
		return 0, nil
	case e.QEMU == 1 && e.Stderr != "":
		return 0, errors.New(explain(e.Stderr))
	}
	return e.QEMU, fmt.Errorf("the system failed (QEMU's exit status %d)", e.QEMU)
}

// explain puts what to do about them before QEMU's most common complaints.
func explain(stderr string) string {
	for _, c := range []struct{ sign, meaning string }{
		{`Failed to get "write" lock`, "the disk is in use by another machine: end that one first"},
		{"Could not set up host forwarding rule", "a port of the host to be forwarded is in use: choose another one"},
		{"annot set up guest memory", "not enough memory on the host for the guest: choose a smaller -m"},
		{"could not configure /dev/net/tun", "the tap interface cannot be used: create it for this user first (ip tuntap add NAME mode tap user USER)"},
	} {
		if strings.Contains(stderr, c.sign) {
			return c.meaning + "\n(" + stderr + ")"
		}
	}
	return "QEMU: " + stderr
}
