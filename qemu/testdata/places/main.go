// Command places is the guest of a test: it looks for what programs count on to
// find around them, on a fresh disk, without being told anything.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"syscall"
)

func main() {
	failed := false
	for _, c := range []struct {
		name  string
		check func() (string, error)
	}{
		{"home", os.UserHomeDir},
		{"cache", inNew(os.UserCacheDir)},
		{"config", inNew(os.UserConfigDir)},
		{"temp", temporary},
		{"user", currentUser},
		{"path", noProgram},
		{"type", fileSystem},
		{"set", func() (string, error) { return os.Getenv("HOME") + os.Getenv("PATH"), nil }},
	} {
		text, err := c.check()
		if err != nil {
			failed = true
			text = "error: " + err.Error()
		}
		fmt.Printf("%s: %s\n", c.name, text)
	}
	if failed {
		os.Exit(1)
	}
}

// inNew makes a file in a new directory below the one that find gives.
func inNew(find func() (string, error)) func() (string, error) {
	return func() (string, error) {
		dir, err := find()
		if err != nil {
			return "", err
		}
		mine := filepath.Join(dir, "places")
		if err := os.MkdirAll(mine, 0o700); err != nil {
			return "", err
		}
		return dir, os.WriteFile(filepath.Join(mine, "file"), []byte("text"), 0o600)
	}
}

func temporary() (string, error) {
	dir, err := os.MkdirTemp("", "places")
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, "*.tmp")
	if err != nil {
		return "", err
	}
	return os.TempDir(), errors.Join(f.Close(), os.RemoveAll(dir))
}

func currentUser() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", err
	}
	return u.Uid + " " + u.HomeDir, nil
}

// noProgram says how a program that is not there is not found: by a search, not
// for want of somewhere to search.
func noProgram() (string, error) {
	_, err := exec.LookPath("cc")
	if !errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("got %v for a program that is not there", err)
	}
	return os.Getenv("PATH"), nil
}

func fileSystem() (string, error) {
	var st syscall.Statfs_t
	err := syscall.Statfs("/tmp", &st)
	return fmt.Sprintf("%#x", st.Type), err
}
