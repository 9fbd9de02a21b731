package qemu

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A script drives a machine through its console. It is lines of a verb and its
// argument; empty lines and lines that start with # mean nothing.
//
// Before boot (and again between two boots), the machine is described:
//
//	image PACKAGE|FILE    what to boot: a directory with a main package, or a file
//	machine q35|microvm   default q35
//	memory MIB
//	cpus N
//	disk SIZE             a new blank disk of that many MiB
//	no-network
//	forward PORT          make the guest's TCP port reachable for get
//	option NAME[=VALUE]   of the system's command line
//	env NAME=VALUE        of the program
//	arg TEXT              one more argument of the program
//	fault OP ERRNO [sector N] [once]
//	                      make disk requests (read, write, flush, discard) fail
//	                      with EIO or ENOSPC, from the next boot on
//	no-faults
//
// Then it is run:
//
//	boot
//	deadline DURATION     for each of the waits that follow; at first 60s
//	expect REGEXP         wait until the console says so, from the last match on
//	send TEXT             type a line; \xNN, \t, \\ as in Go strings
//	type TEXT             the same without the end of line
//	get PORT PATH REGEXP  an HTTP GET of the guest's port answers like that
//	reset                 press the reset button
//	kill                  pull the plug
//	exit N                wait until it has powered off with that exit status
//	panic                 wait until it has ended by a kernel panic
//
// A machine that is still running at the end of the script is an error, and is
// killed.
type Script struct {
	name  string
	steps []step
}

type step struct {
	line      int
	verb, arg string
}

// ParseScript reads a script; name is for messages.
func ParseScript(name, text string) (*Script, error) {
	s := &Script{name: name}
	in := bufio.NewScanner(strings.NewReader(text))
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		verb, arg, _ := strings.Cut(line, " ")
		v, ok := verbs[verb]
		if !ok {
			return nil, fmt.Errorf("%s:%d: unknown verb %q", name, n, verb)
		}
		arg = strings.TrimSpace(arg)
		if fields := len(strings.Fields(arg)); fields < v.min || fields > v.max {
			return nil, fmt.Errorf("%s:%d: %s takes %d to %d words", name, n, verb, v.min, v.max)
		}
		s.steps = append(s.steps, step{n, verb, arg})
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// verb is what a script can say: how many words may follow, and what it does.
type verb struct {
	min, max int
	run      func(r *run, arg string) error
}

const anyWords = 1 << 20

var verbs map[string]verb

func init() {
	// Assigned here because the functions refer to each other through run.
	verbs = map[string]verb{
		"image":      {1, 1, (*run).image},
		"machine":    {1, 1, func(r *run, arg string) error { r.config.Machine = arg; return nil }},
		"memory":     {1, 1, func(r *run, arg string) (err error) { r.config.Memory, err = strconv.Atoi(arg); return }},
		"cpus":       {1, 1, func(r *run, arg string) (err error) { r.config.CPUs, err = strconv.Atoi(arg); return }},
		"disk":       {1, 1, (*run).disk},
		"no-network": {0, 0, func(r *run, _ string) error { r.config.Network = Network{None: true}; return nil }},
		"forward":    {1, 1, (*run).forward},
		"option":     {1, anyWords, (*run).option},
		"env":        {1, anyWords, func(r *run, arg string) error { r.config.Line.Env = append(r.config.Line.Env, arg); return nil }},
		"arg":        {0, anyWords, func(r *run, arg string) error { r.config.Line.Args = append(r.config.Line.Args, arg); return nil }},
		"fault":      {2, 5, (*run).fault},
		"no-faults":  {0, 0, (*run).noFaults},
		"boot":       {0, 0, (*run).boot},
		"deadline":   {1, 1, func(r *run, arg string) (err error) { r.patience, err = time.ParseDuration(arg); return }},
		"expect":     {1, anyWords, (*run).expect},
		"send":       {0, anyWords, func(r *run, arg string) error { return r.typeKeys(arg, "\n") }},
		"type":       {1, anyWords, func(r *run, arg string) error { return r.typeKeys(arg, "") }},
		"get":        {3, anyWords, (*run).get},
		"reset":      {0, 0, (*run).reset},
		"kill":       {0, 0, (*run).kill},
		"exit":       {1, 1, (*run).exit},
		"panic":      {0, 0, (*run).panicked},
	}
}

// Runner says how scripts are run.
type Runner struct {
	Dir   string                           // directory for disks; relative image files are relative to it
	Build func(pkg string) (string, error) // makes an image of a package and returns its file
	Base  Config                           // what the machines of all scripts have in common
	Log   io.Writer                        // gets each step as it is run; may be nil
}

// run is one script being run.
type run struct {
	*Runner
	ctx      context.Context
	config   Config
	ports    map[int]int // guest port: host port
	patience time.Duration
	machine  *Machine
	console  *Console
}

// Run runs a script. The error tells the line, and what the console said last.
func (r *Runner) Run(ctx context.Context, s *Script) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	state := &run{Runner: r, ctx: ctx, config: r.Base, ports: make(map[int]int), patience: time.Minute}
	for _, st := range s.steps {
		if r.Log != nil {
			fmt.Fprintf(r.Log, "%s:%d: %s %s\n", s.name, st.line, st.verb, st.arg)
		}
		if err := verbs[st.verb].run(state, st.arg); err != nil {
			return fmt.Errorf("%s:%d: %s: %w%s%s", s.name, st.line, st.verb, err, state.diagnose(), state.lastWords())
		}
	}
	if state.machine != nil {
		state.stop()
		return fmt.Errorf("%s: the machine still runs at the end of the script%s", s.name, state.lastWords())
	}
	return nil
}

// diagnose ends the machine, if one still runs, and returns where its processors were.
func (r *run) diagnose() string {
	if r.machine == nil {
		return ""
	}
	select {
	case <-r.machine.Done():
		return ""
	default:
	}
	return "\nprocessors:\n" + r.machine.Diagnose(r.patience)
}

// lastWords returns the end of what the console said, for error messages.
func (r *run) lastWords() string {
	if r.console == nil {
		return ""
	}
	const most = 4000
	text := r.console.Text()
	if len(text) > most {
		text = "..." + text[len(text)-most:]
	}
	return "\nconsole:\n" + text
}

func (r *run) stop() {
	if r.machine != nil {
		r.machine.Kill()
		<-r.machine.Done()
		r.machine = nil
	}
}

func (r *run) running() (*Machine, error) {
	if r.machine == nil {
		return nil, errors.New("no machine is running")
	}
	return r.machine, nil
}

func (r *run) image(arg string) error {
	path := absolutePath(r.Dir, arg)
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		r.config.Image = path
		return nil
	}
	if r.Build == nil {
		return fmt.Errorf("no such file: %s", path)
	}
	var err error
	r.config.Image, err = r.Build(arg)
	return err
}

func absolutePath(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func (r *run) disk(arg string) error {
	size, err := strconv.ParseInt(arg, 10, 32)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(r.Dir, "disk-*.img")
	if err != nil {
		return err
	}
	r.config.Disk = &Disk{Path: f.Name()}
	return errors.Join(f.Truncate(size<<20), f.Close())
}

func (r *run) forward(arg string) error {
	guest, err := parsePort(arg)
	if err != nil {
		return err
	}
	host, err := FreePort()
	if err != nil {
		return err
	}
	r.ports[guest] = host
	r.config.Network.Forwards = append(r.config.Network.Forwards, Forward{Host: host, Guest: guest})
	return nil
}

// FreePort returns a TCP port of 127.0.0.1 that nothing listens on just now.
func FreePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (r *run) option(arg string) error {
	name, value, _ := strings.Cut(arg, "=")
	r.config.Line.Set(name, value)
	return nil
}

func (r *run) fault(arg string) error {
	if r.config.Disk == nil {
		return errors.New("there is no disk")
	}
	f := strings.Fields(arg)
	fault := Fault{Op: f[0], Sector: -1}
	switch f[1] {
	case "EIO":
		fault.Errno = int(syscall.EIO)
	case "ENOSPC":
		fault.Errno = int(syscall.ENOSPC)
	default:
		return fmt.Errorf("unknown error %q", f[1])
	}
	for rest := f[2:]; len(rest) > 0; {
		switch {
		case rest[0] == "once":
			fault.Once, rest = true, rest[1:]
		case rest[0] == "sector" && len(rest) > 1:
			n, err := strconv.ParseInt(rest[1], 10, 64)
			if err != nil {
				return err
			}
			fault.Sector, rest = n, rest[2:]
		default:
			return fmt.Errorf("%q is not understood", rest[0])
		}
	}
	r.config.Disk.Faults = append(r.config.Disk.Faults, fault)
	return nil
}

func (r *run) noFaults(string) error {
	if r.config.Disk == nil {
		return errors.New("there is no disk")
	}
	r.config.Disk.Faults = nil
	return nil
}

func (r *run) boot(string) error {
	if r.machine != nil {
		return errors.New("a machine is running already")
	}
	r.console = NewConsole()
	m, err := Start(r.ctx, r.config, r.console)
	if err != nil {
		return err
	}
	r.machine = m
	return nil
}

func (r *run) expect(arg string) error {
	m, err := r.running()
	if err != nil {
		return err
	}
	re, err := regexp.Compile("(?m)" + arg)
	if err != nil {
		return err
	}
	if _, err = r.console.Expect(re, m.Done(), r.patience); err == nil {
		return nil
	}
	select {
	case <-m.Done():
		return fmt.Errorf("%w (exit status %d of QEMU) %s", err, m.exit.QEMU, m.exit.Stderr)
	default:
		return err
	}
}

// typeKeys writes to the console. A guest that reads nothing for as long as the
// deadline is an error.
func (r *run) typeKeys(text, end string) error {
	m, err := r.running()
	if err != nil {
		return err
	}
	keys, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
	if err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	if err := m.input.SetWriteDeadline(time.Now().Add(r.patience)); err != nil {
		return err
	}
	_, err = io.WriteString(m.Input(), keys+end)
	return err
}

func (r *run) get(arg string) error {
	f := strings.SplitN(arg, " ", 3)
	guest, err := parsePort(f[0])
	if err != nil {
		return err
	}
	host, ok := r.ports[guest]
	if !ok {
		return fmt.Errorf("port %d is not forwarded", guest)
	}
	re, err := regexp.Compile(f[2])
	if err != nil {
		return err
	}
	client := http.Client{Timeout: r.patience}
	response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", host, f[1]))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if !re.Match(body) {
		return fmt.Errorf("%s: %q does not match", response.Status, body)
	}
	return nil
}

func (r *run) reset(string) error {
	m, err := r.running()
	if err != nil {
		return err
	}
	return m.Reset()
}

func (r *run) kill(string) error {
	if _, err := r.running(); err != nil {
		return err
	}
	r.stop()
	return nil
}

// ended waits for the machine to end by itself.
func (r *run) ended() (Exit, error) {
	m, err := r.running()
	if err != nil {
		return Exit{}, err
	}
	deadline := time.NewTimer(r.patience)
	defer deadline.Stop()
	select {
	case <-m.Done():
	case <-deadline.C:
		return Exit{}, fmt.Errorf("the machine has not ended within %v", r.patience)
	}
	r.machine = nil
	return m.Wait()
}

func (r *run) exit(arg string) error {
	want, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	e, err := r.ended()
	if err != nil {
		return err
	}
	got, err := e.Code()
	if err == nil && got != want {
		err = fmt.Errorf("exit status %d", got)
	}
	return err
}

func (r *run) panicked(string) error {
	e, err := r.ended()
	if err != nil {
		return err
	}
	if e.QEMU < 3 || e.QEMU%2 == 0 {
		return fmt.Errorf("the machine ended otherwise: %+v", e)
	}
	return nil
}
