package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tuplix/tuplix/cmd/tuplix/image"
	"github.com/tuplix/tuplix/qemu"
)

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "512": 512, "1K": 1024, "64M": 64 << 20, "2g": 2 << 30, "1T": 1 << 40} {
		if got, err := parseSize(in); err != nil || got != want {
			t.Errorf("%q: got %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "M", "-1M", "1.5G", "1MB", "9999999999999T"} {
		if got, err := parseSize(in); err == nil {
			t.Errorf("%q is accepted as %d", in, got)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	f.Add("512M")
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := parseSize(s); err == nil && n < 0 {
			t.Errorf("%q is %d", s, n)
		}
	})
}

func TestSplitArguments(t *testing.T) {
	for _, test := range []struct {
		in, rest []string
		target   string
	}{
		{nil, nil, "."},
		{[]string{"dir"}, []string{}, "dir"},
		{[]string{"dir", "--", "-a", "--"}, []string{"-a", "--"}, "dir"},
		{[]string{"dir", "b"}, []string{"b"}, "dir"},
	} {
		target, rest := splitArguments(test.in)
		if target != test.target || !reflect.DeepEqual(rest, test.rest) {
			t.Errorf("%q: got %q, %q", test.in, target, rest)
		}
	}
}

func parse(t *testing.T, args ...string) (*machineFlags, error) {
	t.Helper()
	var m machineFlags
	f := flag.NewFlagSet("test", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	m.define(f)
	return &m, f.Parse(args)
}

func TestMachineFlags(t *testing.T) {
	t.Setenv("INHERITED", "from outside")
	disk := filepath.Join(t.TempDir(), "disk.img")
	m, err := parse(t, "-disk", disk, "-disk-size", "16M", "-m", "1G", "-smp", "4", "-p", "8080:80", "-p", "53:53/udp",
		"-env", "A=b c", "-env", "INHERITED", "-machine", "microvm", "-accel", "tcg", "-cmdline", "x=y arg=z", "-panic", "halt")
	if err != nil {
		t.Fatal(err)
	}
	c, err := m.config()
	if err != nil {
		t.Fatal(err)
	}
	if c.Memory != 1024 || c.CPUs != 4 || c.Machine != qemu.MicroVM || c.Accel != qemu.TCG || len(c.Network.Forwards) != 2 || c.Disk.Path != disk {
		t.Errorf("got %+v", c)
	}
	if got, want := c.Line.String(), "panic=halt x=y env.A=b%20c env.INHERITED=from%20outside arg=z"; got != want {
		t.Errorf("command line %q, want %q", got, want)
	}
	if info, err := os.Stat(disk); err != nil || info.Size() != 16<<20 {
		t.Errorf("the disk: %v, %v", info, err)
	}
	// A disk that is there is left as it is.
	m.diskSize = "32M"
	if _, err := m.config(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(disk); err != nil || info.Size() != 16<<20 {
		t.Errorf("the disk: %v, %v", info, err)
	}
}

func TestMachineFlagErrors(t *testing.T) {
	for _, args := range [][]string{
		{"-smp", "0"}, {"-smp", "65"}, {"-m", "1"}, {"-m", "x"}, {"-machine", "pc"}, {"-accel", "hax"}, {"-panic", "no"},
		{"-tap", "tap0", "-p", "1:1"}, {"-p", "80"}, {"-env", "=x"}, {"-env", "NOT_SET_ANYWHERE"}, {"-cmdline", "a=%"},
		{"-disk", "/nonexistent/dir/x"}, {"-disk", filepath.Join(t.TempDir(), "d"), "-disk-size", "7"},
	} {
		m, err := parse(t, args...)
		if err == nil {
			_, err = m.config()
		}
		if err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestCutArgs(t *testing.T) {
	own, extra := cutArgs([]string{"-v", "sync", "-args", "-x", "-args"})
	if !reflect.DeepEqual(own, []string{"-v", "sync"}) || !reflect.DeepEqual(extra, []string{"-x", "-args"}) {
		t.Errorf("got %q, %q", own, extra)
	}
}

// Every command explains itself and its flags.
func TestHelp(t *testing.T) {
	var all bytes.Buffer
	overview(&all)
	for _, c := range commands() {
		if !strings.Contains(all.String(), c.name) {
			t.Errorf("the overview does not name %s", c.name)
		}
		var text bytes.Buffer
		describe(&text, c)
		if !strings.Contains(text.String(), "usage: tuplix "+c.name) {
			t.Errorf("help of %s: %s", c.name, text.String())
		}
		if c.name != "version" && !strings.Contains(text.String(), "\nFlags:\n") {
			t.Errorf("help of %s tells no flags", c.name)
		}
	}
}

func TestDispatch(t *testing.T) {
	for _, test := range []struct {
		args   []string
		status int
	}{
		{nil, exitUsage},
		{[]string{"fly"}, exitUsage},
		{[]string{"help", "fly"}, exitUsage},
		{[]string{"run", "-no-such-flag"}, exitUsage},
		{[]string{"run", "-smp", "x"}, exitUsage},
		{[]string{"build", "a", "b"}, exitUsage},
		{[]string{"build", "-o", "x", "/nonexistent"}, exitFailure},
		{[]string{"version"}, 0},
	} {
		if got := dispatch(context.Background(), test.args); got != test.status {
			t.Errorf("%q: status %d, want %d", test.args, got, test.status)
		}
	}
}

// The archive holds the package's files and testdata, each once, under their
// full names and behind the directories they are in.
func TestTestData(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module x\n", "testdata/up": "1", "p/p.go": "package p\n", "p/testdata/sub/f": "2", "p/other/o.go": "package o\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("sub/f", filepath.Join(root, "p/testdata/link")); err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := writeTestData(&buf, image.TestPackage{Dir: filepath.Join(root, "p")}, ""); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for r := tar.NewReader(&buf); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := "/" + strings.TrimSuffix(h.Name, "/")
		if seen[name] {
			t.Errorf("%s is there twice", name)
		}
		if dir := filepath.Dir(name); dir != "/" && !seen[dir] {
			t.Errorf("%s comes before its directory", name)
		}
		seen[name] = true
	}
	for _, name := range []string{"testdata/up", "p/p.go", "p/testdata/sub/f", "p/testdata/link"} {
		if !seen[filepath.Join(root, name)] {
			t.Errorf("no %s", name)
		}
	}
	if seen[filepath.Join(root, "p/other/o.go")] {
		t.Error("another package's file is there")
	}
}

// Reports look like those of go test.
func TestReport(t *testing.T) {
	for _, test := range []struct {
		console string
		exit    qemu.Exit
		want    string
		ok      bool
	}{
		{"PASS\r\n", qemu.Exit{Reported: true}, "ok  \tp\t1.500s\n", true},
		{"testing: warning: no tests to run\r\nPASS\r\n", qemu.Exit{Reported: true}, "ok  \tp\t1.500s [no tests to run]\n", true},
		{"--- FAIL: TestX\r\nFAIL\r\n", qemu.Exit{Reported: true, Status: 1, QEMU: 3}, "--- FAIL: TestX\nFAIL\nexit status 1\nFAIL\tp\t1.500s\n", false},
		{"half a te", qemu.Exit{}, "half a te\nthe machine powered off before the tests were done\nFAIL\tp\t1.500s\n", false},
	} {
		var out bytes.Buffer
		tt := &tester{out: &out}
		o := new(testOutput)
		if _, err := io.WriteString(o, test.console); err != nil {
			t.Fatal(err)
		}
		ok := tt.report(image.TestPackage{ImportPath: "p"}, o, test.exit, 1500*time.Millisecond)
		if ok != test.ok || out.String() != test.want {
			t.Errorf("%q: got %v, %q", test.console, ok, out.String())
		}
	}
}
