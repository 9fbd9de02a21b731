package system

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/metrics"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/apps/shell/command/files"
)

var freeCommand = &command.Command{
	Name: "free", Usage: "[-bhk]", Summary: "print how much memory is used and free, in KiB", Run: free, Checks: true,
}

// Memory is what /proc/meminfo tells, in bytes by name.
type Memory map[string]uint64

// ReadMemory reads /proc/meminfo.
func ReadMemory() (Memory, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return nil, err
	}
	defer f.Close() // opened for reading
	return parseMemory(f)
}

// parseMemory reads lines of the form "MemTotal:  16384 kB". Lines without a
// unit count things, not bytes, and are left out.
func parseMemory(r io.Reader) (Memory, error) {
	m := make(Memory)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, rest, ok := strings.Cut(lines.Text(), ":")
		number, unit, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if !ok || unit != "kB" {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 54) // 54 bits of KiB are 64 of bytes
		if err != nil {
			return nil, fmt.Errorf("meminfo: %s: %q is not a number", name, number)
		}
		m[name] = n << 10
	}
	return m, lines.Err()
}

// free shows what the system does not tell as "-".
func free(_ context.Context, c *command.Call) error {
	o := c.Options()
	human := o.Flag("h,human", "sizes with K, M, G")
	plain := o.Flag("b,bytes", "sizes in bytes")
	o.Flag("k,kibi", "sizes in KiB, as they are anyway")
	if _, err := o.Parse(0, 0); err != nil {
		return err
	}
	m, err := ReadMemory()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	show := func(n uint64) string {
		switch {
		case *human:
			return files.Human(n)
		case *plain:
			return fmt.Sprint(n)
		}
		return fmt.Sprint(n >> 10)
	}
	field := func(name string) string {
		if n, ok := m[name]; ok {
			return show(n)
		}
		return "-"
	}
	used := "-"
	if total, ok := m["MemTotal"]; ok {
		if rest, ok := m["MemFree"]; ok {
			used = show(total - min(total, rest+m["Buffers"]+m["Cached"]+m["SReclaimable"]))
		}
	}
	tw := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tw, "\ttotal\tused\tfree\tavailable\t\n")
	fmt.Fprintf(tw, "memory\t%s\t%s\t%s\t%s\t\n", field("MemTotal"), used, field("MemFree"), field("MemAvailable"))
	goMemory(tw, show)
	return tw.Flush()
}

// goMemory prints what the Go runtime holds and what lives in its heap.
func goMemory(w io.Writer, show func(uint64) string) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
	}
	metrics.Read(samples)
	held := samples[0].Value.Uint64() - samples[1].Value.Uint64()
	live := samples[2].Value.Uint64()
	fmt.Fprintf(w, "go heap\t%s\t%s\t%s\t-\t\n", show(held), show(live), show(held-min(held, live)))
}
