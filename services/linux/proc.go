package linux

import (
	"fmt"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// newProc makes /proc, as far as the Go runtime, Go programs and the shell's
// commands read it.
func (s *System) newProc() *synthetic {
	t := &syntheticFS{s: s, device: deviceProc}
	fixed := func(text string) func() string { return func() string { return text } }
	t.root = t.dir("proc",
		t.link("self", fixed(strconv.Itoa(processID))),
		s.newProcess(t),
		t.text("cmdline", func() string { return s.machine.CommandLine() + "\n" }),
		t.text("cpuinfo", s.cpuInfo),
		t.text("filesystems", fixed("\t"+filesType+"\nnodev\tproc\nnodev\tsysfs\n")),
		t.text("loadavg", s.loadAverage),
		t.text("meminfo", s.memoryInfo),
		t.link("mounts", fixed("self/mounts")),
		t.link("net", fixed("self/net")),
		t.text("partitions", fixed("major minor  #blocks  name\n\n")),
		t.text("stat", s.processorStat),
		t.text("swaps", fixed("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")),
		t.text("uptime", s.uptimeText),
		t.text("version", fixed(systemName+" version "+systemRelease+" ("+runtime.Version()+") "+systemVersion+"\n")),
		t.later("sys", func() []*synthetic { return s.newProcSys(t) }),
	)
	return t.root
}

// newProcSys makes what is in /proc/sys.
func (s *System) newProcSys(t *syntheticFS) []*synthetic {
	fixed := func(text string) func() string { return func() string { return text } }
	return []*synthetic{
		t.later("kernel", func() []*synthetic {
			return []*synthetic{
				t.text("hostname", func() string { return s.Hostname() + "\n" }),
				t.text("osrelease", fixed(systemRelease+"\n")),
				t.text("ostype", fixed(systemName+"\n")),
				t.text("pid_max", fixed("32768\n")),
				t.dir("random", t.text("boot_id", fixed(randomID())), t.text("uuid", randomID)),
				t.text("version", fixed(systemVersion+"\n")),
			}
		}),
		t.later("fs", func() []*synthetic {
			return []*synthetic{
				t.dir("inotify",
					t.text("max_queued_events", fixed(fmt.Sprintln(maxInotifyEvents))),
					t.text("max_user_instances", fixed(fmt.Sprintln(maxInotify))),
					t.text("max_user_watches", fixed(fmt.Sprintln(maxInotifyWatches))),
				),
				t.text("file-max", fixed(fmt.Sprintln(MaxDescriptors))),
				t.text("nr_open", fixed(fmt.Sprintln(MaxDescriptors))),
				t.text("pipe-max-size", fixed(fmt.Sprintln(pipeCapacity))),
			}
		}),
		t.dir("net", t.dir("core", t.text("somaxconn", fixed("4096\n")))),
		t.dir("vm", t.text("overcommit_memory", fixed("1\n"))),
	}
}

// newProcess makes the directory of the one process.
func (s *System) newProcess(t *syntheticFS) *synthetic {
	return t.later(strconv.Itoa(processID), func() []*synthetic { return s.processFiles(t) })
}

func (s *System) processFiles(t *syntheticFS) []*synthetic {
	descriptors := t.dir("fd")
	descriptors.children = func() []*synthetic { return s.descriptorLinks(t, descriptors) }
	return []*synthetic{
		t.text("cmdline", func() string { return strings.Join(os.Args, "\x00") + "\x00" }),
		t.text("comm", func() string { return s.commandName() + "\n" }),
		t.link("cwd", func() string { return s.cwd.Load().path }),
		t.link("exe", func() string { return s.executable }),
		t.link("root", func() string { return "/" }),
		t.text("environ", func() string { return strings.Join(os.Environ(), "\x00") + "\x00" }),
		t.text("cgroup", func() string { return "0::/\n" }),
		t.text("limits", s.limitsText),
		t.text("maps", s.mapsText),
		t.text("oom_score_adj", func() string { return "0\n" }),
		t.text("mounts", s.mountsText),
		t.text("mountinfo", s.mountInfo),
		t.text("stat", s.processStat),
		t.text("statm", s.processMemory),
		t.text("status", s.processStatus),
		descriptors,
		t.dir("task", t.dir(strconv.Itoa(processID),
			t.text("comm", func() string { return s.commandName() + "\n" }),
			t.text("stat", s.processStat),
			t.text("status", s.processStatus),
		)),
		t.later("net", func() []*synthetic { return s.newProcNet(t) }),
	}
}

func (s *System) commandName() string { return path.Base(s.executable) }

// descriptorLinks lists the open descriptors. Each link leads to the very
// inode that is open, whatever became of its name.
func (s *System) descriptorLinks(t *syntheticFS, parent *synthetic) (links []*synthetic) {
	const firstNumber = 1 << 32 // above those that are counted out
	for i := range s.table.chunks {
		if s.table.chunks[i].Load() == nil {
			continue
		}
		for fd := i * tableChunk; fd < (i+1)*tableChunk; fd++ {
			if f := s.table.slot(fd).file.Load(); f != nil {
				links = append(links, &synthetic{
					fs: t, name: strconv.Itoa(fd), number: firstNumber + uint64(fd),
					mode: syscall.S_IFLNK | 0o700, parent: parent,
					target: f.linkText, leads: f.inode,
				})
			}
		}
	}
	return links
}

// inode is the inode that was opened, nil if it has no place in a tree.
func (f *openFile) inode() node {
	if l, ok := f.description.(located); ok {
		return l.node()
	}
	return nil
}

// linkText is what /proc/self/fd shows for the file.
func (f *openFile) linkText() string {
	if f.path != "" {
		if l, ok := f.description.(located); ok && l.node().Attr().Links == 0 {
			return strings.TrimSuffix(path.Clean(f.path), " (deleted)") + " (deleted)"
		}
		return path.Clean(f.path)
	}
	var st syscall.Stat_t
	if err := f.description.Stat(&st); err != nil {
		return "unknown"
	}
	kind := "anon_inode"
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFIFO:
		kind = "pipe"
	case syscall.S_IFSOCK:
		kind = "socket"
	}
	return fmt.Sprintf("%s:[%d]", kind, st.Ino)
}

// loadAverage has no history of runnable tasks to tell; it shows how much of
// the processors' time was used since the start.
func (s *System) loadAverage() string {
	load := float64(busy()) / float64(max(s.uptime(), 1))
	return fmt.Sprintf("%.2f %.2f %.2f 1/%d %d\n", load, load, load, runtime.NumGoroutine(), processID)
}

func (s *System) memoryInfo() string {
	total, available := s.machine.Memory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var b strings.Builder
	for _, line := range []struct {
		name  string
		bytes uint64
	}{
		{"MemTotal", total}, {"MemFree", available}, {"MemAvailable", available},
		{"Buffers", 0}, {"Cached", 0}, {"SwapCached", 0},
		{"Active", total - available}, {"Inactive", 0}, {"SwapTotal", 0}, {"SwapFree", 0}, {"Dirty", 0}, {"Writeback", 0},
		{"AnonPages", m.HeapInuse + m.StackInuse}, {"Mapped", 0}, {"Shmem", 0}, {"Slab", 0}, {"SReclaimable", 0},
		{"SUnreclaim", 0}, {"CommitLimit", total}, {"Committed_AS", m.Sys},
	} {
		fmt.Fprintf(&b, "%-16s%8d kB\n", line.name+":", line.bytes/1024)
	}
	return b.String()
}

// processorStat tells ticks of user and idle time, of all processors and
// then, as if it were evenly spread, of each.
func (s *System) processorStat() string {
	count := s.machine.Processors()
	used := busy()
	idle := max(s.uptime()*time.Duration(count)-used, 0)
	var b strings.Builder
	fmt.Fprintf(&b, "cpu  %d 0 0 %d 0 0 0 0 0 0\n", used/clockTick, idle/clockTick)
	for i := range count {
		n := time.Duration(count) * clockTick
		fmt.Fprintf(&b, "cpu%d %d 0 0 %d 0 0 0 0 0 0\n", i, used/n, idle/n)
	}
	a := s.machine.Activity()
	fmt.Fprintf(&b, "intr %d\nctxt %d\nbtime %d\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n",
		a.Interrupts, a.Switches, s.machine.Started().Unix())
	return b.String()
}

func (s *System) uptimeText() string {
	up := s.uptime()
	idle := max(up*time.Duration(s.machine.Processors())-busy(), 0)
	return fmt.Sprintf("%.2f %.2f\n", up.Seconds(), idle.Seconds())
}

func (s *System) mountsText() string {
	b := "tuplix / " + filesType + " rw,noatime 0 0\n"
	for _, m := range s.mounts {
		b += fmt.Sprintf("%s %s %s ro 0 0\n", m.kind, m.path, m.kind)
	}
	return b
}

func (s *System) mountInfo() string {
	b := "1 1 8:1 / / rw,noatime - " + filesType + " tuplix rw\n"
	for i, m := range s.mounts {
		b += fmt.Sprintf("%d 1 0:%d / %s ro - %s %s ro\n", i+2, m.root.device(), m.path, m.kind, m.kind)
	}
	return b
}

// memorySizes are of the program, in bytes: address space and resident.
func memorySizes() (virtual, resident uint64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys, m.Sys - m.HeapReleased
}

func (s *System) processMemory() string {
	virtual, resident := memorySizes()
	return fmt.Sprintf("%d %d 0 0 0 %d 0\n", virtual/pageSize, resident/pageSize, resident/pageSize)
}
