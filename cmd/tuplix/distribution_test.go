package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/qemu"
)

// TestDistribution runs packages of the Go distribution's own tests in a
// machine: those that testdata/distribution.txt lists, with what is skipped
// there and why. The list only grows.
func TestDistribution(t *testing.T) {
	if _, err := exec.LookPath(qemu.Program); err != nil {
		t.Skip(err)
	}
	text, err := os.ReadFile("testdata/distribution.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		t.Run(fields[0], func(t *testing.T) {
			args := []string{"-short", "-timeout", "5m"}
			if len(fields) > 1 {
				args = append(args, "-skip", fields[1])
			}
			testPackage(t, args, fields[0])
		})
	}
}

// testPackage does what "tuplix test" with these flags does.
func testPackage(t *testing.T, args []string, pkg string) {
	t.Helper()
	var out bytes.Buffer
	tt := &tester{out: &out}
	f := flag.NewFlagSet("test", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	tt.define(f)
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	tt.args = append(tt.args, "-test.timeout="+tt.timeout.String(), "-test.paniconexit0")
	status, err := tt.all(context.Background(), []string{pkg})
	if err != nil {
		t.Fatal(err)
	}
	if status != 0 {
		t.Errorf("\n%s", out.String())
	}
}
