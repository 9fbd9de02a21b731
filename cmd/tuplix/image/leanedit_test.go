package image

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// levelOfProgram compares what is added to Pebble with the pattern that it stands for.
const levelOfProgram = `package pebble

import (
	"regexp"
	"slices"
	"testing"
)

func TestLevelOf(t *testing.T) {
	pattern := regexp.MustCompile("Level\\s*\"?(\\d+)\"?\\s*$")
	for _, s := range []string{
		"", "Level", "Level ", "Level 0", "Level \"0\"", "Level \"12\" ", "Level\t7\n", "Level0", "Level \"3", "Level 3\"",
		"x Level \"5\"", "Level \"\"", "Level \"a\"", "Level 1 2", "Level \"\"1", "Options", "Level \"1\"x", "Level\"4\"",
	} {
		want := pattern.FindStringSubmatch(s)
		if got := levelOf(s); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}
`

func TestLevelOf(t *testing.T) {
	testAddition(t, "pebble", levelOf, levelOfProgram)
}

// replaceFramesProgram does so for gVisor's.
const replaceFramesProgram = `package log

import (
	"regexp"
	"runtime/debug"
	"testing"
)

func TestReplaceFrames(t *testing.T) {
	pattern := regexp.MustCompile("(?m)^\\S+\\(.*\\)$\\r?\\n^\\t\\S+:\\d+.*$\\r?\\n")
	for _, s := range []string{
		"", "\n", "a(b)\n\tx.go:1 +0x2\n", "a(b)\n\tx.go:1", "goroutine 1 [running]:\na(...)\n\tx.go:12\nb(0x1, {0x2})\n\t/y z.go:1\n",
		"a(b)\nc(d)\n\tx.go:1 +0x2\n", "a(b) \n\tx.go:1\n", "a b(c)\n\tx.go:1\n", "a(b)\n\tx.go\n", "created by f in goroutine 1\n\tx.go:5\n",
		"main.(*T).f(0x1)\r\n\tx.go:1\r\n", "a()\n\t:1\n", "a()\nx.go:1\n", string(debug.Stack()),
	} {
		for _, with := range []string{"", "[frame]"} {
			replace := func([]byte) []byte { return []byte(with) }
			want := string(pattern.ReplaceAllFunc([]byte(s), replace))
			if got := string(replaceFrames([]byte(s), replace)); got != want {
				t.Errorf("%q: %q, want %q", s, got, want)
			}
		}
	}
}
`

func TestReplaceFrames(t *testing.T) {
	testAddition(t, "log", replaceFrames, replaceFramesProgram)
}

// testAddition runs a test of a file that is added to a module.
func testAddition(t *testing.T, pkg, text, test string) {
	dir := writeTree(t, map[string]string{"go.mod": "module example.com/" + pkg + "\n\ngo 1.26\n", "added.go": text, "added_test.go": test})
	c := exec.Command("go", "test", "-count=1", ".")
	c.Dir, c.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The pieces that are replaced are there in the versions that the system requires.
func TestEdits(t *testing.T) {
	for name, edits := range map[string][]edit{leanPebble: pebbleLines, leanGvisor: gvisorLines} {
		out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range edits {
			text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), filepath.FromSlash(e.file)))
			if err != nil || strings.Count(string(text), e.old) != 1 {
				t.Errorf("%s has %q %d times, %v", e.file, e.old, strings.Count(string(text), e.old), err)
			}
		}
	}
}
