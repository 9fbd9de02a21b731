package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/cmd/tuplix/image"
	"github.com/tuplix/tuplix/qemu"
)

var (
	goPackages = flag.String("go.packages", "", "of the Go distribution, test these `packages` of the list, separated by commas, or all; without, those for continuous integration")
	goSkipped  = flag.Bool("go.skipped", false, "of the Go distribution, run the skipped tests, and fail where one passes")
)

// TestDistribution runs packages of the Go distribution's own tests in a
// machine: all tests of the packages that testdata/distribution.txt lists but
// those skipped there. While one package's machine runs, the next is compiled.
func TestDistribution(t *testing.T) {
	if _, err := exec.LookPath(qemu.Program); err != nil {
		t.Skip("no machine to run the packages in: ", err)
	}
	list := chosen(t, readDistribution(t))
	images := startImages(t, list)
	for _, p := range list {
		g := <-images
		t.Run(p.path, func(t *testing.T) {
			if g.err != nil {
				t.Fatal(g.err)
			}
			if *goSkipped {
				g.runSkipped(t, p)
			} else if ok, out := g.run(t, p.skipFlags()...); !ok {
				t.Errorf("\n%s", out)
			}
		})
		if err := os.RemoveAll(g.tester.dir); err != nil {
			t.Error(err)
		}
	}
}

// chosen returns what the flags choose of the list.
func chosen(t *testing.T, list []goPackage) []goPackage {
	t.Helper()
	names := strings.Split(*goPackages, ",")
	list = slices.DeleteFunc(list, func(p goPackage) bool {
		named := *goPackages == "all" || slices.Contains(names, p.path) || *goPackages == "" && !p.apart
		return !named || *goSkipped && len(p.skipped) == 0
	})
	if len(list) == 0 {
		t.Fatalf("-go.packages %q chooses nothing of the list", *goPackages)
	}
	return list
}

// goImage is the test image of one package.
type goImage struct {
	err        error // why there is none
	tester     tester
	pkg        image.TestPackage
	file, data string
	out        bytes.Buffer
}

// startImages builds the images of all packages, in order and one ahead of what
// is received.
func startImages(t *testing.T, list []goPackage) <-chan *goImage {
	images := make(chan *goImage)
	ctx, dir, done := t.Context(), t.TempDir(), make(chan struct{})
	go func() {
		defer close(done)
		for n, p := range list {
			g := &goImage{}
			g.err = g.build(ctx, p.path, filepath.Join(dir, strconv.Itoa(n)), "-short", "-smp", "2", "-timeout", "5m")
			select {
			case images <- g:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { <-done })
	return images
}

// build does what "tuplix test" does up to the boot, in the directory dir, which it
// makes.
func (g *goImage) build(ctx context.Context, path, dir string, flags ...string) error {
	g.tester.out, g.tester.dir = &g.out, dir
	f := flag.NewFlagSet("test", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	g.tester.define(f)
	if err := f.Parse(flags); err != nil {
		return err
	}
	g.tester.args = append(g.tester.args, "-test.timeout="+g.tester.timeout.String(), "-test.paniconexit0")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	var err error
	if g.tester.goroot, err = image.GOROOT(ctx); err != nil {
		return err
	}
	found, err := image.ListTests(ctx, g.tester.build.options("", ""), path)
	if err != nil {
		return err
	}
	if len(found) != 1 || !found[0].HasTests {
		return fmt.Errorf("%s: %d packages, or no tests", path, len(found))
	}
	g.pkg = found[0]
	var ok bool
	g.file, g.data, ok, err = g.tester.prepare(ctx, g.pkg)
	if err == nil && !ok {
		err = errors.New(g.out.String())
	}
	return err
}

// run boots the image and returns whether all tests that args choose pass, and
// the report.
func (g *goImage) run(t *testing.T, args ...string) (ok bool, out string) {
	t.Helper()
	g.out.Reset()
	tester := g.tester
	tester.args = append(slices.Clip(tester.args), args...)
	tester.verbose = tester.verbose || *goSkipped
	ok, err := tester.boot(t.Context(), g.pkg, g.file, g.data)
	if err != nil {
		t.Fatal(err)
	}
	return ok, g.out.String()
}

// runSkipped runs each skipped test of p in a machine of its own, since one
// that fails may take the others with it.
func (g *goImage) runSkipped(t *testing.T, p goPackage) {
	for _, s := range p.skipped {
		if ok, _ := g.run(t, "-test.run="+s.pattern(), "-test.v=true"); ok {
			t.Errorf("%s: %s does not fail any more: take it off the list", p.path, s.test)
		}
	}
}
