package image

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
)

// gVisor's log compiles a pattern at each boot, to take frames off the stack traces that it
// prints. It is the only one that an image has, and so all of package regexp goes with it.
// The copy finds the frames without; it consists of links but for the changed directory.
const leanGvisor = "gvisor.dev/gvisor"

var gvisorLines = []edit{
	{gvisorLog, "var stackRegexp = regexp.MustCompile(`(?m)^\\S+\\(.*\\)$\\r?\\n^\\t\\S+:\\d+.*$\\r?\\n`)\n", ""},
	{gvisorLog, "stackRegexp.ReplaceAllFunc(", "replaceFrames("},
	{gvisorLog, "\t\"regexp\"\n", ""},
}

const gvisorLog = "pkg/log/log.go"

// replaceFrames is added to gVisor's log in place of the pattern.
const replaceFrames = `package log

import "bytes"

// replaceFrames replaces each frame of a stack trace: a line FUNCTION(ARGUMENTS) and one
// that begins with a tab and the place in the source.
func replaceFrames(trace []byte, replace func([]byte) []byte) (out []byte) {
	for len(trace) > 0 {
		n := line(trace)
		if m := n + line(trace[n:]); isCall(trace[:n]) && isPlace(trace[n:m]) {
			out = append(out, replace(trace[:m])...)
			n = m
		} else {
			out = append(out, trace[:n]...)
		}
		trace = trace[n:]
	}
	return out
}

// line is the length of the first line, with its end.
func line(text []byte) int {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return i + 1
	}
	return len(text)
}

func isCall(l []byte) bool {
	name, _, found := bytes.Cut(l, []byte("("))
	return found && len(name) > 0 && !bytes.ContainsAny(name, " \t\f\r\n") && bytes.HasSuffix(l, []byte(")\n"))
}

func isPlace(l []byte) bool {
	if len(l) == 0 || l[0] != '\t' || l[len(l)-1] != '\n' {
		return false
	}
	file, _, _ := bytes.Cut(l[1:], []byte(" "))
	for i := 1; i+1 < len(file); i++ {
		if file[i] == ':' && '0' <= file[i+1] && file[i+1] <= '9' {
			return true
		}
	}
	return false
}
`

// leanGvisor makes the copy and returns where it is, for the version that the system
// requires.
func (w *workspace) leanGvisor(m module, _ *modfile.WorkFile) (string, error) {
	if w.required(w.root, leanGvisor) != m.Version {
		return "", nil
	}
	dir, err := cacheDir("lean", m.Path, m.Version, m.Dir, replaceFrames, fmt.Sprint(gvisorLines))
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "module")
	return dir, onceOnly(dir, func(part string) error {
		changed := filepath.FromSlash(filepath.Dir(gvisorLog))
		if err := linkAround(m.Dir, part, changed); err != nil {
			return err
		}
		if err := copyFiles(filepath.Join(m.Dir, changed), filepath.Join(part, changed), func(name string, text []byte) []byte {
			return []byte(applyEdits(gvisorLines, "pkg/log/"+name, string(text)))
		}); err != nil {
			return err
		}
		return addFile(part, filepath.Join(changed, "frames.go"), []byte(replaceFrames))
	})
}

// linkAround makes links in one directory to everything in another, but for one directory
// somewhere below and what leads there.
func linkAround(from, to, except string) error {
	list, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	first, rest, deeper := strings.Cut(except, string(filepath.Separator))
	for _, e := range list {
		a, b := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		switch {
		case e.Name() != first:
			err = os.Symlink(a, b)
		case deeper:
			err = linkAround(a, b, rest)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// copyFiles copies the files of one directory, and not what is below it.
func copyFiles(from, to string, edit func(name string, text []byte) []byte) error {
	list, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.IsDir() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err == nil {
			err = addFile(to, e.Name(), edit(e.Name(), text))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
