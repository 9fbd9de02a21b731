package linux

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Range is a mapping of the address space, as /proc/self/maps shows it.
type Range struct {
	Start, End uintptr
	Prot       int  // PROT_READ, PROT_WRITE, PROT_EXEC
	Image      bool // of the program's file
}

// mapsText is /proc/self/maps. Of a file's mapping it tells the inode. A machine that does
// not tell its address space shows nothing: a profiler then takes the program for one
// mapping.
func (s *System) mapsText() string {
	if s.memory == nil {
		return ""
	}
	files := s.mappings.ranges()
	var b strings.Builder
	for _, r := range s.memory.Ranges() {
		flags := []byte("---p ")
		for i, bit := range []int{unix.PROT_READ, unix.PROT_WRITE, unix.PROT_EXEC} {
			if r.Prot&bit != 0 {
				flags[i] = "rwx"[i]
			}
		}
		off, device, inode, path := int64(0), uint64(0), uint64(0), ""
		if r.Image {
			path = s.executable
		}
		if i := slices.IndexFunc(files, func(f fileRange) bool { return f.start <= r.Start && r.Start < f.end }); i >= 0 {
			f := files[i]
			flags[3], off, device, inode = 's', f.off+int64(r.Start-f.start), deviceFiles, f.inode
		}
		line := fmt.Sprintf("%08x-%08x %s%08x %02x:%02x %d ", r.Start, r.End, flags, off, unix.Major(device), unix.Minor(device), inode)
		if path != "" {
			line = fmt.Sprintf("%-73s%s", line, path)
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// fileRange is a shared mapping of a file.
type fileRange struct {
	view
	inode uint64
}

func (m *mappings) ranges() (list []fileRange) {
	for _, v := range m.all() {
		v.mu.Lock()
		for _, w := range v.list {
			list = append(list, fileRange{w, v.inode.Number()})
		}
		v.mu.Unlock()
	}
	return list
}

// limitNames are the resources in the order of /proc/self/limits, with their units.
var limitNames = []struct {
	name     string
	resource uintptr
	unit     string
}{
	{"Max cpu time", unix.RLIMIT_CPU, "seconds"}, {"Max file size", unix.RLIMIT_FSIZE, "bytes"},
	{"Max data size", unix.RLIMIT_DATA, "bytes"}, {"Max stack size", unix.RLIMIT_STACK, "bytes"},
	{"Max core file size", unix.RLIMIT_CORE, "bytes"}, {"Max resident set", unix.RLIMIT_RSS, "bytes"},
	{"Max processes", unix.RLIMIT_NPROC, "processes"}, {"Max open files", unix.RLIMIT_NOFILE, "files"},
	{"Max locked memory", unix.RLIMIT_MEMLOCK, "bytes"}, {"Max address space", unix.RLIMIT_AS, "bytes"},
	{"Max file locks", unix.RLIMIT_LOCKS, "locks"}, {"Max pending signals", unix.RLIMIT_SIGPENDING, "signals"},
	{"Max msgqueue size", unix.RLIMIT_MSGQUEUE, "bytes"}, {"Max nice priority", unix.RLIMIT_NICE, ""},
	{"Max realtime priority", unix.RLIMIT_RTPRIO, ""}, {"Max realtime timeout", unix.RLIMIT_RTTIME, "us"},
}

// limitsText is /proc/self/limits.
func (s *System) limitsText() string {
	value := func(v uint64) string {
		if v == unix.RLIM_INFINITY {
			return "unlimited"
		}
		return strconv.FormatUint(v, 10)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units")
	for _, n := range limitNames {
		l, _ := s.limit(n.resource) // all of the list are known
		fmt.Fprintf(&b, "%-25s %-20s %-20s %-10s\n", n.name, value(l.Cur), value(l.Max), n.unit)
	}
	return b.String()
}

// Activity counts what the machine has done since boot.
type Activity struct {
	Threads    int    // alive now
	Switches   uint64 // of threads
	Interrupts uint64 // from devices
	Calls      uint64 // system calls that trapped
	Faults     uint64 // page faults
}

// processStatus is /proc/self/status.
func (s *System) processStatus() string {
	virtual, resident := memorySizes()
	a := s.machine.Activity()
	var b strings.Builder
	fmt.Fprintf(&b, "Name:\t%s\nUmask:\t%04o\nState:\tR (running)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t0\nTracerPid:\t0\n",
		s.commandName(), s.umask.Load(), processID, processID)
	fmt.Fprintf(&b, "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t%d\nGroups:\t\n", s.countDescriptors())
	for _, line := range []struct {
		name  string
		bytes uint64
	}{
		{"VmPeak", virtual}, {"VmSize", virtual}, {"VmLck", 0}, {"VmPin", 0}, {"VmHWM", resident}, {"VmRSS", resident},
		{"RssAnon", resident}, {"RssFile", 0}, {"RssShmem", 0}, {"VmData", virtual}, {"VmStk", 0}, {"VmSwap", 0},
	} {
		fmt.Fprintf(&b, "%s:\t%8d kB\n", line.name, line.bytes/1024)
	}
	processors := s.machine.Processors()
	fmt.Fprintf(&b, "Threads:\t%d\nCpus_allowed:\t%x\nCpus_allowed_list:\t%s\n", a.Threads,
		^uint64(0)>>(64-min(processors, 64)), processorList(processors))
	fmt.Fprintf(&b, "voluntary_ctxt_switches:\t%d\nnonvoluntary_ctxt_switches:\t0\n", a.Switches)
	return b.String()
}

// countDescriptors is how many are open.
func (s *System) countDescriptors() (n int) {
	for i := range s.table.chunks {
		c := s.table.chunks[i].Load()
		for fd := 0; c != nil && fd < tableChunk; fd++ {
			if c[fd].file.Load() != nil {
				n++
			}
		}
	}
	return n
}

// processorList is 0-N, as /sys/devices/system/cpu writes it.
func processorList(n int) string {
	if n == 1 {
		return "0"
	}
	return fmt.Sprintf("0-%d", n-1)
}

// processStat has the 52 fields of proc(5); those that have no meaning here
// are 0.
func (s *System) processStat() string {
	virtual, resident := memorySizes()
	a := s.machine.Activity()
	fields := make([]string, 52)
	for i := range fields {
		fields[i] = "0"
	}
	set := func(number int, v any) { fields[number-1] = fmt.Sprint(v) } // as proc(5) numbers them
	set(1, processID)
	set(2, "("+s.commandName()+")")
	set(3, "R")
	set(5, processID) // group
	set(6, processID) // session
	set(10, a.Faults)
	set(14, int64(busy()/clockTick)) // user time
	set(18, 20)                      // priority
	set(20, a.Threads)
	set(23, virtual)
	set(24, resident/pageSize)
	set(25, uint64(unix.RLIM_INFINITY)) // of the resident memory
	set(38, int(unix.SIGCHLD))
	set(39, 0) // the processor: there are several
	return strings.Join(fields, " ") + "\n"
}

// cpuInfo is /proc/cpuinfo.
func (s *System) cpuInfo() string {
	p := s.machine.Processor()
	count := s.machine.Processors()
	var b strings.Builder
	for i := range count {
		for _, line := range [][2]string{
			{"processor\t", strconv.Itoa(i)}, {"vendor_id\t", p.Vendor}, {"cpu family\t", strconv.Itoa(p.Family)},
			{"model\t\t", strconv.Itoa(p.Model)}, {"model name\t", p.Name}, {"stepping\t", strconv.Itoa(p.Stepping)},
			{"cpu MHz\t\t", fmt.Sprintf("%d.%03d", p.Hz/1e6, p.Hz/1e3%1e3)}, {"physical id\t", "0"},
			{"siblings\t", strconv.Itoa(count)}, {"core id\t\t", strconv.Itoa(i)}, {"cpu cores\t", strconv.Itoa(count)},
			{"apicid\t\t", strconv.Itoa(i)}, {"flags\t\t", strings.Join(p.Features, " ")},
		} {
			fmt.Fprintf(&b, "%s: %s\n", line[0], line[1])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Processor describes the machine's processors, which are alike.
type Processor struct {
	Vendor, Name            string
	Family, Model, Stepping int
	Hz                      uint64   // of the counter of time stamps; 0: not known
	Features                []string // by the names of /proc/cpuinfo
}
