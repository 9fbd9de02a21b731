package kernel

import (
	"bufio"
	"bytes"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// trapRoots are where trap context begins (doc.go).
var trapRoots = []string{"onSyscall", "onInterrupt", "onKernelFault", "boot", "apMain"}

// harmless are the runtime's functions that trap context may call: they touch
// neither the heap nor the M. Panics count as harmless: they end in a report.
var harmless = regexp.MustCompile(`^(runtime\.(panic\w*|goPanic\w*|memmove|memclrNoHeapPointers|memequal|morestack\w*|` +
	`FuncForPC|\(\*Func\)\.(Name|Entry)|duffzero|duffcopy|racefuncenter|deferreturn|gcWriteBarrierNone)` +
	`|internal/bytealg\.\w+|sync/atomic\..*|internal/runtime/atomic\..*)`)

// TestTrapContext reads the machine code of everything that trap context can
// reach and refuses calls of the allocator, of write barriers, and of
// whatever else is not known to be harmless.
func TestTrapContext(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "kernel.test")
	if out, err := exec.Command("go", "test", "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	calls := readCalls(t, binary)
	seen := map[string]string{}
	var walk func(name, from string)
	walk = func(name, from string) {
		if _, ok := seen[name]; ok {
			return
		}
		seen[name] = from
		for _, to := range calls[name] {
			if strings.HasPrefix(to, ourPath) {
				walk(to, name)
			} else if !harmless.MatchString(to) {
				t.Errorf("%s calls %s", path(seen, name), to)
			}
		}
	}
	for _, r := range trapRoots {
		name := ourPath + "." + r
		if _, ok := calls[name]; !ok {
			t.Fatalf("%s is not in the binary", name)
		}
		walk(name, "")
	}
	if len(seen) < 100 {
		t.Errorf("only %d functions found: the call graph was not read right", len(seen))
	}
}

const ourPath = "github.com/tuplix/tuplix/kernel"

// path is how the walk came to a function.
func path(seen map[string]string, name string) string {
	var steps []string
	for ; name != ""; name = seen[name] {
		steps = append(steps, strings.TrimPrefix(name, ourPath))
	}
	slices.Reverse(steps)
	return strings.Join(steps, " > ")
}

// readCalls returns what each of the kernel's functions calls or jumps to.
func readCalls(t *testing.T, binary string) map[string][]string {
	out, err := exec.Command("go", "tool", "objdump", "-s", `tuplix/kernel[./]`, binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string][]string{}
	target := regexp.MustCompile(`\t(?:CALL|JMP|J[A-Z]+) (\S+)\(SB\)`)
	name := ""
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		line := s.Text()
		if rest, ok := strings.CutPrefix(line, "TEXT "); ok {
			name = plain(rest[:strings.Index(rest, "(SB)")])
			calls[name] = append(calls[name], nil...)
			continue
		}
		if m := target.FindStringSubmatch(line); m != nil {
			if to := plain(m[1]); to != name && !slices.Contains(calls[name], to) {
				calls[name] = append(calls[name], to)
			}
		}
	}
	return calls
}

// plain drops the mark of the assembly's calling convention, and what stands
// for the type arguments of a generic function.
func plain(name string) string {
	return strings.TrimSuffix(name, ".abi0")
}
