package kernel

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What images add to package runtime cannot import this package, and has the numbers
// of calls as constants.
func TestNumbersInRuntime(t *testing.T) {
	files, err := filepath.Glob("../board/pc/_goroot/src/runtime/zz_*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	known := []string{
		fmt.Sprintf("awaitEvents = %#x", callAwaitEvents),
		fmt.Sprintf("postponeDeath = %#x", callPostpone),
	}
	for _, line := range known {
		if !strings.Contains(all.String(), line+"\n") {
			t.Errorf("package runtime has no %q", line)
		}
	}
	if n := strings.Count(all.String(), "= 0x70"); n != len(known) {
		t.Errorf("package runtime knows %d numbers, the test %d", n, len(known))
	}
}
