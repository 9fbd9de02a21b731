package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tuplix/tuplix/cmd/tuplix/image"
	"github.com/tuplix/tuplix/kernel/cmdline"
	"github.com/tuplix/tuplix/qemu"
)

// system is one of the two that are compared.
type system struct {
	name string
	dir  string // scratch
	disk string // its disk image
	// prepare makes ready to boot a program of this module and returns what
	// boots it, without arguments.
	prepare func(ctx context.Context, s *system, pkg string) (qemu.Config, error)
	ready   map[string]qemu.Config
}

// options are what both have in common.
type options struct {
	machine    string
	memory     int // MiB
	accel      qemu.Accel
	rounds     int
	sequential int           // MiB
	files      int           // of the aggregate
	patience   time.Duration // bounds the wait for a guest's first sign of life
	only       *regexp.Regexp
	restored   uint64 // the most rows of which restores are measured
	profiles   string // directory for profiles of the store, or ""
}

// bootPatience is how long a guest may take to start where its memory is
// enough, runPatience how long to print its results.
const (
	bootPatience = time.Minute
	runPatience  = 5 * time.Minute
)

// diskSize is the size of both disks, in bytes.
const diskSize = 2 << 30

func newTuplix(dir string) (*system, error) {
	s := &system{name: "Tuplix", dir: dir, disk: filepath.Join(dir, "tuplix.img"), prepare: prepareTuplix}
	return s, blankDisk(s.disk)
}

func blankDisk(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(diskSize), f.Close())
}

func prepareTuplix(ctx context.Context, s *system, pkg string) (qemu.Config, error) {
	path := filepath.Join(s.dir, filepath.Base(pkg)+".elf")
	c := qemu.Config{Image: path}
	c.Line.Set("quiet", "")
	return c, image.Build(ctx, image.Options{Dir: pkg, Output: path})
}

// newLinux returns the peer, with an empty ext4 on its disk.
func newLinux(ctx context.Context, dir, cache string) (*system, error) {
	kernel, err := findLinux(ctx, cache)
	if err != nil {
		return nil, err
	}
	s := &system{name: "Linux", dir: dir, disk: filepath.Join(dir, "linux.img")}
	if err := blankDisk(s.disk); err != nil {
		return nil, err
	}
	// Without this, mkfs leaves work that the guest does in the background.
	const noLazy = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
	if _, err := output(ctx, dir, "mkfs.ext4", "-q", "-F", "-E", noLazy, s.disk); err != nil {
		return nil, err
	}
	init := filepath.Join(dir, "linuxinit")
	if err := goBuild(ctx, init, "./cmd/bench/linuxinit"); err != nil {
		return nil, err
	}
	s.prepare = func(ctx context.Context, s *system, pkg string) (qemu.Config, error) {
		app := filepath.Join(s.dir, filepath.Base(pkg)+".linux")
		if err := goBuild(ctx, app, pkg); err != nil {
			return qemu.Config{}, err
		}
		c := qemu.Config{Image: kernel.kernel, Initrd: app + ".cpio"}
		c.Line.Set("console", "ttyS0")
		c.Line.Set("quiet", "")
		c.Line.Set("panic", "-1")
		var tools []string
		if pkg == guestPackage {
			tools = guestTools
		}
		return c, kernel.initramfs(ctx, c.Initrd, init, app, tools)
	}
	return s, nil
}

func goBuild(ctx context.Context, out, pkg string) error {
	_, err := output(ctx, "", "env", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "go", "build", "-o", out, pkg)
	return err
}

// config returns the machine that boots pkg with arguments.
func (s *system) config(ctx context.Context, o *options, pkg string, args ...string) (qemu.Config, error) {
	c, ok := s.ready[pkg]
	if !ok {
		var err error
		if c, err = s.prepare(ctx, s, pkg); err != nil {
			return c, fmt.Errorf("%s: %w", s.name, err)
		}
		if s.ready == nil {
			s.ready = make(map[string]qemu.Config)
		}
		s.ready[pkg] = c
	}
	c.Machine, c.Memory, c.Accel = o.machine, o.memory, o.accel
	c.Disk = &qemu.Disk{Path: s.disk}
	c.Extra = []string{"-no-reboot"} // a system that fails ends
	c.Line = cmdline.Line{Options: c.Line.Options, Args: args}
	return c, nil
}

// guest is a running machine with its console.
type guest struct {
	*qemu.Machine
	console *qemu.Console
	port    int       // of the host, forwarded
	started time.Time // when QEMU was
}

// boot starts a machine; port, if not 0, is forwarded.
func boot(ctx context.Context, c qemu.Config, port int) (*guest, error) {
	g := &guest{console: qemu.NewConsole()}
	if port != 0 {
		var err error
		if g.port, err = qemu.FreePort(); err != nil {
			return nil, err
		}
		c.Network.Forwards = []qemu.Forward{{Host: g.port, Guest: port}}
	}
	g.started = time.Now()
	var err error
	g.Machine, err = qemu.Start(ctx, c, g.console)
	return g, err
}

// expect waits for the console to say something.
func (g *guest) expect(pattern string, patience time.Duration) error {
	_, err := g.console.Expect(regexp.MustCompile("(?m)"+pattern), g.Done(), patience)
	if err != nil {
		return fmt.Errorf("%w\nconsole:\n%s", err, tail(g.console.Text()))
	}
	return nil
}

func tail(text string) string {
	const most = 2000
	if len(text) > most {
		return "..." + text[len(text)-most:]
	}
	return text
}

// stop pulls the plug.
func (g *guest) stop() {
	g.Kill()
	<-g.Done()
}

// results boots the program guest with a list of measurements and returns what
// it prints, also together with an error.
func (s *system) results(ctx context.Context, o *options, cpus int, list string) (map[string]float64, error) {
	c, err := s.config(ctx, o, guestPackage, "-measure", list,
		"-sequential", strconv.Itoa(o.sequential), "-files", strconv.Itoa(o.files))
	if err != nil {
		return nil, err
	}
	c.CPUs = cpus
	ctx, cancel := context.WithTimeout(ctx, runPatience)
	defer cancel()
	g, err := boot(ctx, c, 0)
	if err != nil {
		return nil, err
	}
	exit, err := g.Wait()
	if err != nil {
		return nil, err
	}
	if code, err := exit.Code(); err != nil || code != 0 {
		return parseResults(g.console.Text()), fmt.Errorf("%s: the measurements ended with status %d (%v)\nconsole:\n%s", s.name, code, err, tail(g.console.Text()))
	}
	return parseResults(g.console.Text()), nil
}

// parseResults finds the lines "result NAME VALUE".
func parseResults(text string) map[string]float64 {
	values := make(map[string]float64)
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "result" {
			continue
		}
		if v, err := strconv.ParseFloat(f[2], 64); err == nil {
			values[f[1]] = v
		}
	}
	return values
}
