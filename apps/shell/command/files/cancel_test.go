package files

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/tuplix/tuplix/apps/shell/command"
)

// laterCancelled is a context that is cancelled once it has been looked at a number
// of times.
type laterCancelled struct {
	context.Context
	left int
}

func (c *laterCancelled) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// grow makes a tree of directories with ten files each.
func grow(t *testing.T, root string, directories int) {
	t.Helper()
	for d := range directories {
		dir := filepath.Join(root, fmt.Sprint(d))
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		for f := range 10 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(f)), []byte("text"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// census counts the files below a directory, 0 if it is not there.
func census(t *testing.T, root string) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(root, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestCancelTree has commands that walk a tree stop in the middle of it.
func TestCancelTree(t *testing.T) {
	for _, c := range []struct {
		cmd    *command.Command
		args   []string
		result string // whose files are counted
	}{
		{cpCommand, []string{"-r", "tree", "copy"}, "copy"},
		{rmCommand, []string{"-r", "tree"}, "tree"},
	} {
		dir := t.TempDir()
		grow(t, filepath.Join(dir, "tree"), 20)
		call := &command.Call{Args: c.args, Dir: dir, Out: io.Discard, Err: io.Discard}
		status := c.cmd.Status(&laterCancelled{t.Context(), 100}, call)
		if n := census(t, filepath.Join(dir, c.result)); status != command.StatusInterrupted || n == 0 || n == 200 {
			t.Errorf("%s: status %d, and there are %d of 200 files", c.cmd.Name, status, n)
		}
	}
}

// TestCancelFile has cp stop in the middle of a file.
func TestCancelFile(t *testing.T) {
	dir := t.TempDir()
	const size = 5 * copyPiece
	if err := os.WriteFile(filepath.Join(dir, "large"), make([]byte, size), 0o666); err != nil {
		t.Fatal(err)
	}
	call := &command.Call{Args: []string{"large", "copy"}, Dir: dir, Out: io.Discard, Err: io.Discard}
	status := cpCommand.Status(&laterCancelled{t.Context(), 3}, call)
	info, err := os.Stat(filepath.Join(dir, "copy"))
	if err != nil {
		t.Fatal(err)
	}
	if status != command.StatusInterrupted || info.Size() == 0 || info.Size() >= size {
		t.Errorf("status %d, and %d of %d bytes were copied", status, info.Size(), size)
	}
}
