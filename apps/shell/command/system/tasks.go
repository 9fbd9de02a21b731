package system

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var (
	psCommand = &command.Command{
		Name: "ps", Usage: "[-g]", Summary: "print what runs: tasks, threads and goroutines", Run: ps,
	}
	nprocCommand = &command.Command{
		Name: "nproc", Usage: "", Summary: "print how many processors there are", Run: nproc,
	}
)

// taskTable is where the system shows its tasks as a table, with a header line,
// if it has them.
const taskTable = "/proc/tuplix/tasks"

func ps(_ context.Context, c *command.Call) error {
	o := c.Options()
	stacks := o.Flag("g,goroutines", "print the stack of every goroutine")
	if _, err := o.Parse(0, 0); err != nil {
		return err
	}
	if *stacks {
		return pprof.Lookup("goroutine").WriteTo(c.Out, 2)
	}
	f, err := os.Open(taskTable)
	if err == nil {
		defer f.Close() // opened for reading
		_, err = io.Copy(c.Out, f)
		return err
	}
	if !os.IsNotExist(err) {
		return err
	}
	return psThreads(c)
}

// psThreads shows this process: its threads, where /proc tells of them, and
// how many goroutines they carry.
func psThreads(c *command.Call) error {
	fmt.Fprintf(c.Out, "process %d: %s\n", os.Getpid(), strings.Join(os.Args, " "))
	dirs, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		return err
	}
	if len(dirs) > 0 {
		tw := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "thread\tstate\tuser s\tsystem s\tname")
		slices.SortFunc(dirs, func(a, b string) int { return threadNumber(a) - threadNumber(b) })
		for _, dir := range dirs {
			if line, ok := threadLine(dir); ok {
				fmt.Fprintln(tw, line)
			}
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(c.Out, "%d goroutines on %d processors (ps -g prints them)\n", runtime.NumGoroutine(), runtime.NumCPU())
	return err
}

// threadNumber is the number that a directory of /proc/self/task is named by, 0
// for any other.
func threadNumber(dir string) int {
	n, err := strconv.Atoi(filepath.Base(dir))
	if err != nil {
		return 0
	}
	return n
}

// threadLine shows one thread; false if it has ended.
func threadLine(dir string) (string, bool) {
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return "", false
	}
	t, ok := parseThread(string(stat))
	if !ok {
		return "", false
	}
	return fmt.Sprintf("%s\t%s\t%.2f\t%.2f\t%s", filepath.Base(dir), t.state, t.user, t.system, t.name), true
}

// thread is what one line of /proc/.../stat says.
type thread struct {
	name, state  string
	user, system float64 // processor time in seconds
}

// parseThread reads a line of the form "12 (name) S 1 ...", see proc(5). The
// name may hold blanks and parentheses, so it ends at the last parenthesis.
func parseThread(line string) (thread, bool) {
	const ticks = 100 // USER_HZ is 100 on every Linux that Go runs on
	open, shut := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || shut < open {
		return thread{}, false
	}
	fields := strings.Fields(line[shut+1:])
	if len(fields) < 13 {
		return thread{}, false
	}
	user, err1 := strconv.ParseUint(fields[11], 10, 64)
	system, err2 := strconv.ParseUint(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		return thread{}, false
	}
	return thread{line[open+1 : shut], fields[0], float64(user) / ticks, float64(system) / ticks}, true
}

func nproc(_ context.Context, c *command.Call) error {
	if _, err := c.Options().Parse(0, 0); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.Out, runtime.NumCPU())
	return err
}
