package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/cmd/tuplix/image"
	"github.com/tuplix/tuplix/qemu"
)

var (
	goAll     = flag.Bool("go.all", false, "of the Go distribution, test also the packages that continuous integration leaves out")
	goSkipped = flag.Bool("go.skipped", false, "of the Go distribution, run the skipped tests, and fail where one passes")
)

// TestDistribution runs packages of the Go distribution's own tests in a
// machine: all tests of the packages that testdata/distribution.txt lists but
// those skipped there. Two packages are at work at a time: only one can be
// compiled, and the other's machine runs meanwhile.
func TestDistribution(t *testing.T) {
	if _, err := exec.LookPath(qemu.Program); err != nil {
		t.Skip(err)
	}
	for _, p := range readDistribution(t) {
		if p.apart && !*goAll || *goSkipped && len(p.skipped) == 0 {
			continue
		}
		t.Run(p.path, func(t *testing.T) {
			t.Parallel()
			if *goSkipped {
				runSkipped(t, p)
				return
			}
			ok, out := newGoTester(t, p.path).run(p.skipFlags()...)
			if !ok {
				t.Errorf("\n%s", out)
			}
		})
	}
}

// runSkipped runs each skipped test of p in a machine of its own, since one
// that fails may take the others with it.
func runSkipped(t *testing.T, p goPackage) {
	g := newGoTester(t, p.path)
	for _, s := range p.skipped {
		ok, out := g.run("-test.run="+s.pattern(), "-test.v=true")
		if strings.Contains(out, "\n--- SKIP: ") {
			t.Logf("%s: %s skips itself now", p.path, s.test)
		}
		if ok {
			t.Errorf("%s: %s does not fail any more: take it off the list", p.path, s.test)
		}
	}
}

// goTester is the test image of one package.
type goTester struct {
	*testing.T
	tester      tester
	pkg         image.TestPackage
	file, data  string
	out         bytes.Buffer
	defaultArgs []string
}

// newGoTester does what "tuplix test -short" does up to the boot.
func newGoTester(t *testing.T, path string) *goTester {
	t.Helper()
	g := &goTester{T: t}
	g.tester.out, g.tester.dir = &g.out, t.TempDir()
	f := flag.NewFlagSet("test", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	g.tester.define(f)
	if err := f.Parse([]string{"-short", "-smp", "2", "-timeout", "5m"}); err != nil {
		t.Fatal(err)
	}
	g.defaultArgs = append(g.tester.args, "-test.timeout="+g.tester.timeout.String(), "-test.paniconexit0")
	ctx := context.Background()
	var err error
	if g.tester.goroot, err = image.GOROOT(ctx); err != nil {
		t.Fatal(err)
	}
	found, err := image.ListTests(ctx, g.tester.build.options("", ""), path)
	if err != nil || len(found) != 1 || !found[0].HasTests {
		t.Fatalf("%s: %d packages, %v", path, len(found), err)
	}
	g.pkg = found[0]
	var ok bool
	if g.file, g.data, ok, err = g.tester.prepare(ctx, g.pkg); err != nil || !ok {
		t.Fatalf("%v\n%s", err, g.out.String())
	}
	return g
}

// run boots the image and returns whether all tests that args choose pass, and
// the report.
func (g *goTester) run(args ...string) (ok bool, out string) {
	g.Helper()
	g.out.Reset()
	g.tester.args = append(g.defaultArgs[:len(g.defaultArgs):len(g.defaultArgs)], args...)
	g.tester.verbose = *goSkipped
	ok, err := g.tester.boot(context.Background(), g.pkg, g.file, g.data)
	if err != nil {
		g.Fatal(err)
	}
	return ok, g.out.String()
}
