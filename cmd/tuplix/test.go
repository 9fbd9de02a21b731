package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tuplix/tuplix/cmd/tuplix/image"
	"github.com/tuplix/tuplix/qemu"
)

// testMemory is the memory of a machine that runs tests: they were written for
// developers' machines.
const testMemory = "1G"

// endPatience is what a machine gets, beyond the time limit that the test
// program keeps itself, to boot and to end.
const endPatience = 2 * time.Minute

// reportPatience is what it gets then, to report what all goroutines do.
const reportPatience = 30 * time.Second

// tester is one run of "tuplix test".
type tester struct {
	build   buildFlags
	machine machineFlags
	timeout time.Duration
	verbose bool // -v or -bench: all output is shown
	args    []string
	dir     string // scratch
	goroot  string
	out     io.Writer
}

func testCommand() *command {
	return &command{
		name:  "test",
		args:  "[flags] [DIR|PACKAGE]... [-args ARGUMENTS]",
		short: "run Go tests inside a machine",
		long: `
Test builds the tests of each package (default: the current directory), boots
them and reports as "go test" does. Packages are named by directory (./store),
import path (golang.org/x/text/cases), or both with "/..." behind; packages of
the Go distribution are welcome (sync, net/http).

In the machine the tests run in a directory of the same name as here, which
holds the package's files and its testdata directory. They see a blank disk if
-disk names a new image, else files live in memory.

Examples:
  tuplix test ./...
  tuplix test -short -v -run 'TestPool' sync
  tuplix test -bench . -run '^$' -smp 2 bytes`,
		run: runTest,
	}
}

// passed are the flags that the test program itself understands.
var passed = []struct {
	name, usage string
	boolean     bool
}{
	{"run", "run only tests that match the `regexp`", false},
	{"skip", "run only tests that do not match the `regexp`", false},
	{"short", "tell long tests to be short", true},
	{"bench", "run benchmarks that match the `regexp`", false},
	{"benchtime", "run each benchmark for this `duration`, or Nx times", false},
	{"benchmem", "print allocations of benchmarks", true},
	{"count", "run each test `n` times", false},
	{"cpu", "run with each of these `values` of GOMAXPROCS, separated by commas", false},
	{"failfast", "stop at the first test that fails", true},
	{"list", "list tests that match the `regexp` and run none", false},
	{"parallel", "run at most `n` tests in parallel", false},
	{"shuffle", "randomise the order: on, off or a `seed`", false},
}

// define defines all flags. The test program's go to args when they are parsed.
func (t *tester) define(f *flag.FlagSet) {
	t.build.define(f)
	t.machine.define(f)
	t.machine.memory = testMemory
	f.Lookup("m").DefValue = testMemory
	f.DurationVar(&t.timeout, "timeout", 10*time.Minute, "fail a package that takes longer than this `duration`")
	// -v is the test program's here.
	verbose := f.Lookup("v")
	verbose.Usage = "show all output, as it comes"
	for _, p := range passed {
		add := func(value string) error {
			t.args = append(t.args, "-test."+p.name+"="+value)
			if p.name == "bench" || p.name == "list" {
				t.verbose = true
			}
			return nil
		}
		if p.boolean {
			f.BoolFunc(p.name, p.usage, add)
		} else {
			f.Func(p.name, p.usage, add)
		}
	}
}

func runTest(ctx context.Context, f *flag.FlagSet, args []string) (int, error) {
	t := &tester{out: os.Stdout}
	t.define(f)
	args, extra := cutArgs(args)
	if err := parseFlags(f, args); err != nil {
		return 0, err
	}
	if t.machine.verbose {
		t.verbose = true
		t.args = append(t.args, "-test.v=true")
	}
	t.args = append(t.args, "-test.timeout="+t.timeout.String(), "-test.paniconexit0")
	t.args = append(t.args, extra...)
	if _, err := t.machine.config(); err != nil {
		return 0, err
	}
	patterns := f.Args()
	if len(patterns) == 0 {
		patterns = []string{"."}
	}
	return t.all(ctx, patterns)
}

// cutArgs splits a command line at -args; what follows is the test program's.
func cutArgs(args []string) (own, extra []string) {
	for i, a := range args {
		if a == "-args" || a == "--args" {
			return args[:i], args[i+1:]
		}
	}
	return args, nil
}

// all tests the packages of all patterns, one after another.
func (t *tester) all(ctx context.Context, patterns []string) (int, error) {
	var err error
	if t.goroot, err = image.GOROOT(ctx); err != nil {
		return 0, err
	}
	if t.dir, err = os.MkdirTemp("", "tuplix-test-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(t.dir)
	failed := false
	for _, pattern := range patterns {
		packages, err := image.ListTests(ctx, t.build.options("", ""), pattern)
		if err != nil {
			return 0, err
		}
		for _, p := range packages {
			ok, err := t.one(ctx, p)
			if err != nil {
				return 0, err
			}
			failed = failed || !ok
		}
	}
	if failed {
		fmt.Fprintln(t.out, "FAIL")
		return exitFailure, nil
	}
	return 0, nil
}

// one tests a package and reports. The error is one of the tool itself; tests
// that cannot be built are a failure of the package.
func (t *tester) one(ctx context.Context, p image.TestPackage) (ok bool, err error) {
	if p.Err == nil && !p.HasTests {
		fmt.Fprintf(t.out, "?   \t%s\t[no test files]\n", p.ImportPath)
		return true, nil
	}
	file, data, ok, err := t.prepare(ctx, p)
	if err != nil || !ok {
		return false, err
	}
	return t.boot(ctx, p, file, data)
}

// prepare builds the image of a package's tests and the archive of their files. It
// reports tests that cannot be built, and then returns !ok.
func (t *tester) prepare(ctx context.Context, p image.TestPackage) (file, data string, ok bool, err error) {
	file, data = filepath.Join(t.dir, "test.elf"), filepath.Join(t.dir, "data.tar")
	wait := startProgress(os.Stderr, "building tests of "+p.ImportPath)
	o := t.build.options("", file)
	o.Plain = true // booted once: to compress it takes longer
	err = image.BuildTest(ctx, o, p)
	wait.stop()
	if ctx.Err() != nil {
		return "", "", false, ctx.Err()
	}
	if err != nil {
		fmt.Fprintf(t.out, "# %s\n%v\nFAIL\t%s [build failed]\n", p.ImportPath, err, p.ImportPath)
		return "", "", false, nil
	}
	return file, data, true, t.archive(data, p)
}

func (t *tester) archive(path string, p image.TestPackage) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := writeTestData(f, p, t.goroot); err != nil {
		return fmt.Errorf("test data of %s: %w", p.ImportPath, err)
	}
	return f.Close()
}

// boot runs the tests of p in a machine and reports.
func (t *tester) boot(ctx context.Context, p image.TestPackage, file, data string) (bool, error) {
	config, err := t.machine.config()
	if err != nil {
		return false, err
	}
	config.Image, config.Initrd = file, data
	if err := checkMemory(&config); err != nil {
		return false, err
	}
	config.Line.Set("quiet", "")
	config.Line.Set("cwd", p.Dir)
	config.Line.Env = append(config.Line.Env, "PWD="+p.Dir, "GOROOT="+t.goroot, "HOME=/")
	config.Line.Args = append(config.Line.Args, t.args...)

	out := &testOutput{}
	if t.verbose {
		out.live = t.out
	}
	start := time.Now()
	m, err := qemu.Start(ctx, config, out)
	if err != nil {
		return false, err
	}
	where := make(chan string, 1)
	late := time.AfterFunc(t.timeout+endPatience, func() {
		where <- fmt.Sprintf("\nthe machine had not ended after %v; its processors then:\n%s", t.timeout+endPatience, m.Diagnose(reportPatience))
	})
	exit, err := m.Wait()
	inTime := late.Stop()
	if err != nil {
		return false, err
	}
	if !inTime {
		if _, err := io.WriteString(out, <-where); err != nil {
			return false, err
		}
	}
	if exit.Killed && ctx.Err() != nil {
		return false, ctx.Err()
	}
	return t.report(p, out, exit, time.Since(start)), nil
}

// report prints the result of one package as go test does.
func (t *tester) report(p image.TestPackage, out *testOutput, exit qemu.Exit, took time.Duration) bool {
	status, err := exit.Code()
	seconds := strconv.FormatFloat(took.Seconds(), 'f', 3, 64) + "s"
	if err == nil && status == 0 && out.has(endsWithPass) {
		note := ""
		if out.has(noTests) {
			note = " [no tests to run]"
		}
		fmt.Fprintf(t.out, "ok  \t%s\t%s%s\n", p.ImportPath, seconds, note)
		return true
	}
	if !t.verbose {
		fmt.Fprint(t.out, out.lines())
	}
	switch {
	case err != nil:
		fmt.Fprintln(t.out, err)
	case status == 0:
		fmt.Fprintln(t.out, "the machine powered off before the tests were done")
	default:
		fmt.Fprintf(t.out, "exit status %d\n", status)
	}
	fmt.Fprintf(t.out, "FAIL\t%s\t%s\n", p.ImportPath, seconds)
	return false
}

// What a test program says: PASS at its end, nothing for -list.
var (
	endsWithPass = regexp.MustCompile(`(?m)^(PASS|Benchmark.*|Test.*|Example.*|Fuzz.*)\z`)
	noTests      = regexp.MustCompile(`(?m)^testing: warning: no tests to run$`)
)

// testOutput keeps a machine's console output, with line ends as files have
// them, and passes it on.
type testOutput struct {
	live io.Writer // may be nil
	text bytes.Buffer
}

func (o *testOutput) Write(p []byte) (int, error) {
	clean := bytes.ReplaceAll(p, []byte("\r"), nil)
	o.text.Write(clean)
	if o.live != nil {
		if _, err := o.live.Write(clean); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// lines returns the text, with an end to its last line.
func (o *testOutput) lines() string {
	text := o.text.String()
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

func (o *testOutput) has(re *regexp.Regexp) bool {
	return re.MatchString(strings.TrimRight(o.text.String(), "\n"))
}
