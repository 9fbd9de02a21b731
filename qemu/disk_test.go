package qemu

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tuplix/tuplix/cmd/tuplix/image"
	"github.com/tuplix/tuplix/dbms/blockdev"
	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/qemu/internal/workload"
	"github.com/tuplix/tuplix/services/file"
	"github.com/tuplix/tuplix/services/system"
)

// patience bounds each wait for a guest. TCG on a busy host is slow.
const patience = time.Minute

// images are built once for all tests, in a directory that TestMain removes.
var images = struct {
	sync.Mutex
	dir   string
	built map[string]string
}{built: make(map[string]string)}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tuplix-images-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	images.dir = dir
	status := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = max(status, 1)
	}
	os.Exit(status)
}

// buildImage returns the image of a package, named relative to the root of the
// module.
func buildImage(pkg string) (string, error) {
	images.Lock()
	defer images.Unlock()
	if path, ok := images.built[pkg]; ok {
		return path, nil
	}
	path := filepath.Join(images.dir, fmt.Sprintf("%d.elf", len(images.built)))
	err := image.Build(context.Background(), image.Options{Dir: filepath.Join("..", pkg), Output: path})
	if err == nil {
		images.built[pkg] = path
	}
	return path, err
}

// guest is a machine that a test has booted.
type guest struct {
	*Machine
	*Console
}

// disk is where the tests' configurations have their one disk.
func blankDisk(t *testing.T, mib int64) *Disk {
	t.Helper()
	d := &Disk{Path: filepath.Join(t.TempDir(), "disk.img")}
	if err := os.WriteFile(d.Path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.Path, mib<<20); err != nil {
		t.Fatal(err)
	}
	return d
}

// bootDisk boots testdata/disk with arguments. The machine ends with the test.
func bootDisk(t *testing.T, c Config, args ...string) guest {
	t.Helper()
	c.Network.None = true
	c.Line.Args = args
	return boot(t, "qemu/testdata/disk", c)
}

// boot boots the image of a package, named relative to the root of the module. The
// machine ends with the test.
func boot(t *testing.T, pkg string, c Config) guest {
	t.Helper()
	needQEMU(t)
	path, err := buildImage(pkg)
	if err != nil {
		t.Fatal(err)
	}
	c.Image = path
	if c.Memory == 0 {
		c.Memory = 128
	}
	g := guest{Console: NewConsole()}
	if g.Machine, err = Start(t.Context(), c, g.Console); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.Kill()
		<-g.Done()
		if t.Failed() {
			t.Logf("console:\n%s", tail(g.Text(), 30_000))
		}
	})
	return g
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// expect waits for a line and returns its groups.
func (g guest) expect(t *testing.T, re string) []string {
	t.Helper()
	match, err := g.Expect(regexp.MustCompile("(?m)"+re), g.Done(), patience)
	if err != nil {
		t.Fatalf("%v; its processors:\n%s", err, g.Diagnose(patience))
	}
	return match
}

// status waits for the end of the machine and returns the exit status.
func (g guest) status(t *testing.T) int {
	t.Helper()
	select {
	case <-g.Done():
	case <-time.After(patience):
		t.Fatalf("the machine has not ended within %v", patience)
	}
	e, err := g.Wait()
	if err != nil {
		t.Fatal(err)
	}
	code, err := e.Code()
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// say types a line.
func (g guest) say(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(g.Input(), text+"\n"); err != nil {
		t.Fatal(err)
	}
}

// acknowledged counts, for each worker, the operations that the console tells of.
func (g guest) acknowledged(workers int) []int {
	done := make([]int, workers)
	for _, m := range regexp.MustCompile(`(?m)^ok (\d+) (\d+)\r?$`).FindAllStringSubmatch(g.Text(), -1) {
		i, n := atoi(m[1]), atoi(m[2])
		done[i] = max(done[i], n+1)
	}
	return done
}

// readImage copies a disk image into memory, with sectors of the given size.
func readImage(path string, sector int) (*blockdev.Memory, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m := blockdev.NewMemory(info.Size(), sector)
	in, buf := bufio.NewReaderSize(f, 1<<20), make([]byte, 64<<10)
	for off := int64(0); off < m.Size(); off += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), m.Size()-off)]
		if _, err := io.ReadFull(in, buf); err != nil {
			return nil, err
		}
		if allZero(buf) {
			continue
		}
		if _, err := m.WriteAt(buf, off); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}

// withSystem opens the volume on dev with the tables of all services, and mounts its
// files, for the time of do. dev is changed.
func withSystem(dev blockfs.Device, do func(*system.System) error) (err error) {
	volume, err := blockfs.Open(dev, blockfs.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, volume.Close()) }()
	s, err := system.OpenFiles(context.Background(), volume, system.Options{File: file.Options{Memory: file.MinMemory}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return do(s)
}

// withFiles is withSystem for who wants files only.
func withFiles(dev blockfs.Device, do func(*file.FS) error) error {
	return withSystem(dev, func(s *system.System) error { return do(s.File) })
}

// examine proves the volume on dev sound, as a guest would find it and with its
// files mounted, and returns the workers' files. dev is changed.
func examine(dev blockfs.Device, workers int) (trees []workload.Tree, err error) {
	if _, err := blockfs.Check(dev); err != nil {
		return nil, err
	}
	err = withFiles(dev, func(files *file.FS) error {
		trees, err = checkFiles(files, workers)
		return err
	})
	return trees, err
}

// checkFiles proves files sound and returns the workers'.
func checkFiles(files *file.FS, workers int) ([]workload.Tree, error) {
	if err := files.Check(); err != nil {
		return nil, err
	}
	trees := make([]workload.Tree, workers)
	for i := range trees {
		var err error
		if trees[i], err = readTree(files, "work", strconv.Itoa(i)); err != nil {
			return nil, err
		}
	}
	return trees, nil
}

// readTree reads the files in the directory at a path; nil where there is none.
func readTree(files *file.FS, path ...string) (workload.Tree, error) {
	dir := files.Root()
	for _, name := range path {
		next, err := dir.Lookup(name)
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		dir = next
	}
	var names []string
	err := dir.ReadDir(0, func(e file.Entry) bool {
		names = append(names, e.Name)
		return true
	})
	t := workload.Tree{}
	for _, name := range names {
		if name == "." || name == ".." {
			continue
		}
		n, lookupErr := dir.Lookup(name)
		if lookupErr != nil {
			return nil, lookupErr
		}
		if n.Mode()&syscall.S_IFMT != syscall.S_IFREG {
			continue
		}
		content := make([]byte, n.Size())
		if k, readErr := n.ReadAt(content, 0); readErr != nil || k != len(content) {
			return nil, fmt.Errorf("%s: %d of %d bytes: %w", name, k, len(content), readErr)
		}
		t[name] = string(content)
	}
	return t, err
}

// match holds the files of all workers against what they acknowledged, and
// returns the number of operations found in all.
func match(lines []*workload.Timeline, trees []workload.Tree, acknowledged []int, limit int) (found []int, err error) {
	for i, line := range lines {
		n, err := line.Match(trees[i], acknowledged[i], limit)
		if err != nil {
			return nil, fmt.Errorf("worker %d: %w", i, err)
		}
		found = append(found, n)
	}
	return found, nil
}

func timelines(seed uint64, workers int) []*workload.Timeline {
	lines := make([]*workload.Timeline, workers)
	for i := range lines {
		lines[i] = workload.NewTimeline(seed, i)
	}
	return lines
}
