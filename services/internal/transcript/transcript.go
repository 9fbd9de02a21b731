package transcript

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the answers of testdata anew")

// Updating tells whether tests are to write anew what they compare with.
func Updating() bool { return *update }

// Run runs all files that match the pattern, each with a command function that new
// makes for it. An answer ends with a newline, or is empty.
func Run(t *testing.T, pattern string, new func(t *testing.T) (command func(line string) (answer string))) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("transcripts %s: %v, %v", pattern, names, err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, string(text), new(t))
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(text) {
				t.Errorf("%s differs; it says now:\n%s", name, got)
			}
		})
	}
}

func replay(t *testing.T, text string, command func(string) string) string {
	var out strings.Builder
	commands := 0
	for line := range strings.Lines(text) {
		if said, ok := strings.CutPrefix(line, "> "); ok {
			out.WriteString(line)
			out.WriteString(command(strings.TrimSpace(said)))
			commands++
		} else if strings.HasPrefix(line, "#") || line == "\n" {
			out.WriteString(line)
		}
	}
	if commands == 0 {
		t.Fatal("no line begins with \"> \"")
	}
	return out.String()
}
