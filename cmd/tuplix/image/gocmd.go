package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// goCommand prepares a run of the go command in dir with additional
// environment settings.
func goCommand(ctx context.Context, dir string, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	if dir != "" {
		cmd.Env = append(cmd.Env, "PWD="+dir)
	}
	return cmd
}

// goOutput runs the go command and returns its standard output. The error
// carries what the command wrote to standard error.
func goOutput(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	cmd := goCommand(ctx, dir, env, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, commandError(ctx, err, &stderr, args[0])
	}
	return stdout.Bytes(), nil
}

// goRun runs the go command, passing its standard error on to log (if not nil)
// as it comes.
func goRun(ctx context.Context, dir string, env []string, log io.Writer, args ...string) error {
	cmd := goCommand(ctx, dir, env, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if log != nil {
		cmd.Stderr = io.MultiWriter(&stderr, log)
	}
	if err := cmd.Run(); err != nil {
		return commandError(ctx, err, &stderr, args[0])
	}
	return nil
}

func commandError(ctx context.Context, err error, stderr *bytes.Buffer, verb string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	text := strings.TrimSpace(stderr.String())
	if text == "" {
		return fmt.Errorf("go %s: %w", verb, err)
	}
	return fmt.Errorf("go %s: %s%s", verb, text, advice(text))
}

// advice says what to do about errors of the go command that arise from
// building an application together with the system.
func advice(text string) string {
	for _, a := range []struct{ sign, advice string }{
		{"conflicting replacements", "both modules replace the same dependency: put one replace directive into a go.work file beside the application"},
		{"module lookup disabled by GOPROXY=off", "the application and the system together need module versions that are not in the module cache: build once with network access (GOPROXY set)"},
		{"missing go.sum entry", "the application and the system together need module versions that neither go.sum lists: build once with network access (GOPROXY set)"},
		{"dial tcp", "modules could not be fetched: check the network, or set GOPROXY to a reachable proxy"},
		{"executable file not found", "install Go 1.26 or later from https://go.dev/dl/"},
	} {
		if strings.Contains(text, a.sign) {
			return "\n(" + a.advice + ")"
		}
	}
	return ""
}
