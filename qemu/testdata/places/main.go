// Command places is the guest of a test: it looks for what programs count on to
// find around them, on a fresh disk, without being told anything.
package main

import (
	"errors"
	"fmt"
	"io"
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
		{"start", noProcess},
		{"random", random},
		{"terminal", terminal},
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

// noProcess says how another process is not started, though its program is there: as
// something that the system does not have.
func noProcess() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	_, byFork := syscall.ForkExec(self, []string{self}, nil)
	_, byOS := os.StartProcess(self, []string{self}, &os.ProcAttr{})
	byExec := exec.Command(self).Run()
	for _, err := range []error{byFork, byOS, byExec} {
		if !errors.Is(err, syscall.ENOSYS) {
			return "", fmt.Errorf("starting a process gives %v, %v and %v", byFork, byOS, byExec)
		}
	}
	return syscall.ENOSYS.Error(), nil
}

// random reads from the devices that programs take keys from.
func random() (string, error) {
	seen := map[[32]byte]bool{{}: true} // nor zeros
	for _, name := range []string{"/dev/urandom", "/dev/urandom", "/dev/random"} {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		for range 2 {
			var p [32]byte
			if _, err := io.ReadFull(f, p[:]); err != nil {
				return "", err
			}
			if seen[p] {
				return "", fmt.Errorf("%s gives %x, not for the first time", name, p)
			}
			seen[p] = true
		}
		if err := f.Close(); err != nil {
			return "", err
		}
	}
	return "never the same", nil
}

// terminal speaks to who sits at the console, as programs do that ask for a password.
func terminal() (string, error) {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	_, err = fmt.Fprintln(f, "hello there")
	return f.Name(), errors.Join(err, f.Close())
}
