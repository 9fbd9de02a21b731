package linux

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tuplix/tuplix/services/net/flow"
)

// TestProcReaders reads what monitoring programs read, and as they do.
func TestProcReaders(t *testing.T) {
	s := newSystem(t)
	for path, want := range map[string]string{
		"/proc/self/limits":                               `Max open files +65536 +65536 +files`,
		"/proc/self/status":                               `(?m)^Threads:\t5\n(.*\n)+voluntary_ctxt_switches:\t77$`,
		"/proc/self/task/1/comm":                          `^main\n$`,
		"/proc/self/oom_score_adj":                        `^0\n$`,
		"/proc/self/mountinfo":                            `(?m)^\d+ 1 0:\d+ / /proc ro - proc proc ro$`,
		"/proc/self/exe":                                  `^$`,
		"/proc/self/cmdline":                              `\x00`,
		"/proc/stat":                                      `(?m)^cpu1 .*\nintr 88\nctxt 77\nbtime \d{10}$`,
		"/proc/cpuinfo":                                   `(?m)^vendor_id\t: GenuineTest\n(.*\n)+model name\t: A Processor\n(.*\n)+cpu MHz\t\t: 2500.000\n(.*\n)+flags\t\t: fpu lm$`,
		"/proc/meminfo":                                   `(?m)^MemAvailable: +102400 kB$`,
		"/proc/sys/kernel/random/boot_id":                 `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$`,
		"/proc/sys/fs/inotify/max_user_watches":           `^65536\n$`,
		"/proc/net/dev":                                   `^Inter-`,
		"/proc/net/tcp":                                   `^  sl  local_address`,
		"/proc/swaps":                                     `^Filename`,
		"/sys/devices/system/cpu/online":                  `^0-1\n$`,
		"/sys/devices/system/cpu/cpu1/topology/core_id":   `^1\n$`,
		"/sys/devices/system/cpu/cpu0/topology/../online": `^1\n$`,
	} {
		if got := s.readAll(path); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: %q does not match %s", path, got, want)
		}
	}
	if a, b := s.readAll("/proc/sys/kernel/random/uuid"), s.readAll("/proc/sys/kernel/random/uuid"); a == b {
		t.Errorf("%q twice", a)
	}
}

// TestDifferProc compares the form of what is here with the host's: the names of the
// lines, or the number of the fields.
func TestDifferProc(t *testing.T) {
	s := newSystem(t)
	names := func(text, separator string) (list []string) {
		for line := range strings.Lines(text) {
			if name, _, ok := strings.Cut(line, separator); ok {
				list = append(list, strings.TrimSpace(name))
			}
		}
		return list
	}
	host := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Skipf("this host has nothing to compare with: %v", err)
		}
		return string(text)
	}
	for _, path := range []string{"/proc/self/status", "/proc/meminfo", "/proc/cpuinfo"} {
		theirs := names(host(path), ":")
		for _, name := range names(s.readAll(path), ":") {
			if !slices.Contains(theirs, name) {
				t.Errorf("%s: no %q on Linux", path, name)
			}
		}
	}
	for _, path := range []string{"/proc/self/stat", "/proc/self/statm", "/proc/uptime", "/proc/loadavg"} {
		if here, there := len(strings.Fields(s.readAll(path))), len(strings.Fields(host(path))); here != there {
			t.Errorf("%s has %d fields, %d on Linux", path, here, there)
		}
	}
	if here, there := names(s.readAll("/proc/self/limits"), "  "), names(host("/proc/self/limits"), "  "); !slices.Equal(here, there) {
		t.Errorf("limits %q, on Linux %q", here, there)
	}
}

// TestMaps shows the image and a mapped file.
func TestMaps(t *testing.T) {
	h := &hostMemory{t: t, homes: map[uintptr]hostHome{}, views: map[uintptr]hostMapping{}}
	s := newSystem(t, func(c *Config) { c.Memory = h })
	fd := s.open("/tmp/f", unix.O_CREAT|unix.O_RDWR, 0o644)
	s.must(unix.SYS_FTRUNCATE, fd, 3*pageSize)
	at := s.must(unix.SYS_MMAP, 0, pageSize, unix.PROT_READ, unix.MAP_SHARED, fd, 2*pageSize)
	got := s.readAll("/proc/self/maps")
	for _, want := range []string{
		`(?m)^01000000-01002000 r-xp 00000000 00:00 0 +/bin/main$`,
		fmt.Sprintf(`(?m)^%08x-%08x r--s 00002000 08:01 \d+ $`, at, at+pageSize),
	} {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s does not match %s", got, want)
		}
	}
	s.must(unix.SYS_MUNMAP, at, pageSize)
}

// TestProcSockets lists who listens and who is connected.
func TestProcSockets(t *testing.T) {
	system, _ := socketSystem(t)
	s := &testSystem{System: system, t: t}
	flows := system.network.Flows()
	address := netip.MustParseAddrPort
	flows.Listen(flow.TCP, address("0.0.0.0:80"), flow.Owner{})
	flows.Listen(flow.TCP, address("[::1]:443"), flow.Owner{})
	flows.Listen(flow.UDP, address("127.0.0.1:53"), flow.Owner{})
	flows.Connect(flow.TCP, false, address("10.0.2.15:40000"), address("10.0.2.2:22"), flow.Owner{}, func() string { return "CLOSE-WAIT" })
	for path, want := range map[string]string{
		"/proc/net/tcp":                         `(?m)^   0: 00000000:0050 00000000:0000 0A .*\n   1: 0F02000A:9C40 0202000A:0016 08 `,
		"/proc/net/tcp6":                        `(?m)^   0: 00000000000000000000000001000000:01BB 00000000000000000000000000000000:0000 0A `,
		"/proc/net/udp":                         `(?m)^   0: 0100007F:0035 00000000:0000 07 `,
		"/proc/self/net/if_inet6":               `(?m)^00000000000000000000000000000001 01 80 10 80 +lo$`,
		"/proc/net/arp":                         `^IP address`,
		"/sys/class/net/lo/operstate":           `^unknown\n$`,
		"/sys/class/net/lo/mtu":                 `^\d+\n$`,
		"/sys/class/net/lo/statistics/rx_bytes": `^\d+\n$`,
	} {
		if got := s.readAll(path); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: %q does not match %s", path, got, want)
		}
	}
}

// TestProcessorTime: what a program is told of its processor time goes on while it
// calculates, without a garbage collection.
func TestProcessorTime(t *testing.T) {
	s := newSystem(t)
	const enough = 20 * time.Millisecond
	usage := func(who int) time.Duration {
		var u unix.Rusage
		s.must(unix.SYS_GETRUSAGE, who, unsafe.Pointer(&u))
		if u.Maxrss == 0 {
			t.Fatal("no memory is used")
		}
		return time.Duration(u.Utime.Nano())
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	self, thread := usage(unix.RUSAGE_SELF), usage(unix.RUSAGE_THREAD)
	for begun := cpuClock(unix.CLOCK_THREAD_CPUTIME_ID); cpuClock(unix.CLOCK_THREAD_CPUTIME_ID)-begun < enough; {
	}
	// The fields count whole microseconds.
	if used := usage(unix.RUSAGE_SELF) - self; used < enough-time.Microsecond {
		t.Errorf("the process used %v more, and one of its threads %v", used, enough)
	}
	if used := usage(unix.RUSAGE_THREAD) - thread; used < enough-time.Microsecond {
		t.Errorf("the thread used %v more, and calculated for %v", used, enough)
	}
}
