package linux

import (
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var processCalls = []call{
	{unix.SYS_UNAME, (*System).uname},
	{unix.SYS_SETHOSTNAME, (*System).sethostname},
	{unix.SYS_SYSINFO, (*System).sysinfo},
	{unix.SYS_SYSLOG, (*System).syslog},
	{unix.SYS_REBOOT, (*System).reboot},
	{unix.SYS_PRLIMIT64, (*System).prlimit},
	{unix.SYS_GETRLIMIT, (*System).getrlimit},
	{unix.SYS_SETRLIMIT, (*System).setrlimit},
	{unix.SYS_GETRUSAGE, (*System).getrusage},
	{unix.SYS_TIMES, (*System).times},
	{unix.SYS_GETPID, (*System).self},
	{unix.SYS_GETPGID, (*System).ofSelf},
	{unix.SYS_GETSID, (*System).ofSelf},
	{unix.SYS_SETSID, (*System).notPermitted},
	{unix.SYS_SETPGID, (*System).zero},
	{unix.SYS_GETPPID, (*System).zero},
	{unix.SYS_GETUID, (*System).zero},
	{unix.SYS_GETEUID, (*System).zero},
	{unix.SYS_GETGID, (*System).zero},
	{unix.SYS_GETEGID, (*System).zero},
	{unix.SYS_GETRESUID, (*System).rootThrice},
	{unix.SYS_GETRESGID, (*System).rootThrice},
	{unix.SYS_GETGROUPS, (*System).zero},
	{unix.SYS_SETGROUPS, (*System).setGroups},
	{unix.SYS_SETUID, (*System).becomeRoot},
	{unix.SYS_SETGID, (*System).becomeRoot},
	{unix.SYS_SETREUID, (*System).becomeRoot},
	{unix.SYS_SETREGID, (*System).becomeRoot},
	{unix.SYS_SETRESUID, (*System).becomeRoot},
	{unix.SYS_SETRESGID, (*System).becomeRoot},
	{unix.SYS_SETFSUID, (*System).zero},
	{unix.SYS_SETFSGID, (*System).zero},
	{unix.SYS_GETPRIORITY, (*System).getPriority},
	{unix.SYS_SETPRIORITY, (*System).zero},
	{unix.SYS_WAIT4, (*System).noChild},
	{unix.SYS_WAITID, (*System).noChild},
}

// processID is the number of the one process.
const processID = 1

// What uname says. The release is that of the Linux whose interface is
// served: programs compare it with what they need.
const (
	systemName    = "Linux"
	systemRelease = "6.1.0-tuplix"
	systemVersion = "#1 Tuplix"
)

func (s *System) zero(*[6]uintptr) (int, syscall.Errno) { return 0, 0 }

func (s *System) self(*[6]uintptr) (int, syscall.Errno) { return processID, 0 }

func (s *System) notPermitted(*[6]uintptr) (int, syscall.Errno) { return 0, syscall.EPERM }

func (s *System) noChild(*[6]uintptr) (int, syscall.Errno) { return 0, syscall.ECHILD }

// ofSelf is the process group or session of a process.
func (s *System) ofSelf(a *[6]uintptr) (int, syscall.Errno) {
	if pid := int32(a[0]); pid != 0 && pid != processID {
		return 0, syscall.ESRCH
	}
	return processID, 0
}

// getPriority returns 20 - nice, as the system call does.
func (s *System) getPriority(*[6]uintptr) (int, syscall.Errno) { return 20, 0 }

// rootThrice fills the three ids of getresuid.
func (s *System) rootThrice(a *[6]uintptr) (int, syscall.Errno) {
	for i := range 3 {
		id, e := object[uint32](&a[i])
		if e != 0 {
			return 0, e
		}
		*id = 0
	}
	return 0, 0
}

// becomeRoot lets the user become what it is; there is no other.
func (s *System) becomeRoot(a *[6]uintptr) (int, syscall.Errno) {
	if id := uint32(a[0]); id != 0 && id != unchanged {
		return 0, syscall.EPERM
	}
	return 0, 0
}

func (s *System) setGroups(a *[6]uintptr) (int, syscall.Errno) {
	if a[0] != 0 {
		return 0, syscall.EPERM
	}
	return 0, 0
}

func (s *System) uname(a *[6]uintptr) (int, syscall.Errno) {
	u, e := object[unix.Utsname](&a[0])
	if e != 0 {
		return 0, e
	}
	*u = unix.Utsname{}
	copy(u.Sysname[:], systemName)
	copy(u.Nodename[:len(u.Nodename)-1], s.Hostname())
	copy(u.Release[:], systemRelease)
	copy(u.Version[:], systemVersion)
	copy(u.Machine[:], machineNames[runtime.GOARCH])
	copy(u.Domainname[:], "(none)")
	return 0, 0
}

var machineNames = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

// Hostname is the name of the machine.
func (s *System) Hostname() string { return *s.hostname.Load() }

// SetHostname names the machine until the next boot; /etc/hostname names it
// then.
func (s *System) SetHostname(name string) {
	name = strings.Clone(name)
	s.hostname.Store(&name)
}

// maxHostname is the longest name of a machine, in bytes.
const maxHostname = 64

func (s *System) sethostname(a *[6]uintptr) (int, syscall.Errno) {
	if a[1] > maxHostname {
		return 0, syscall.EINVAL
	}
	p, e := buffer(&a[0], a[1])
	if e != 0 {
		return 0, e
	}
	s.SetHostname(string(p))
	return 0, 0
}

func (s *System) sysinfo(a *[6]uintptr) (int, syscall.Errno) {
	out, e := object[unix.Sysinfo_t](&a[0])
	if e != 0 {
		return 0, e
	}
	total, available := s.machine.Memory()
	*out = unix.Sysinfo_t{
		Uptime:   int64(s.uptime().Seconds()),
		Totalram: total,
		Freeram:  available,
		Procs:    1,
		Unit:     1,
	}
	return 0, 0
}

func (s *System) uptime() time.Duration { return s.now().Sub(s.machine.Started()) }

// syslog reads the kernel's log (klogctl).
func (s *System) syslog(a *[6]uintptr) (int, syscall.Errno) {
	switch a[0] {
	case unix.SYSLOG_ACTION_CLOSE, unix.SYSLOG_ACTION_OPEN:
		return 0, 0
	case unix.SYSLOG_ACTION_SIZE_BUFFER:
		return max(len(s.machine.Log()), pageSize), 0
	case unix.SYSLOG_ACTION_READ_ALL:
	default:
		return 0, syscall.EINVAL
	}
	p, e := buffer(&a[1], a[2])
	if e != 0 {
		return 0, e
	}
	log := s.machine.Log()
	return copy(p, log[max(0, len(log)-len(p)):]), 0
}

// reboot syncs the files first, which Linux leaves to the caller.
func (s *System) reboot(a *[6]uintptr) (int, syscall.Errno) {
	if uint32(a[0]) != unix.LINUX_REBOOT_MAGIC1 {
		return 0, syscall.EINVAL
	}
	var how Restart
	switch uint32(a[2]) {
	case unix.LINUX_REBOOT_CMD_RESTART:
		how = Reboot
	case unix.LINUX_REBOOT_CMD_POWER_OFF:
		how = PowerOff
	case unix.LINUX_REBOOT_CMD_HALT:
		how = Halt
	case unix.LINUX_REBOOT_CMD_CAD_ON, unix.LINUX_REBOOT_CMD_CAD_OFF:
		return 0, 0
	default:
		return 0, syscall.EINVAL
	}
	if s.restart == nil {
		return 0, syscall.EPERM
	}
	if err := s.files.Sync(); err != nil {
		return 0, errno(err)
	}
	return 0, errno(s.restart(how))
}

func (s *System) getrusage(a *[6]uintptr) (int, syscall.Errno) {
	out, e := object[unix.Rusage](&a[1])
	if e != 0 {
		return 0, e
	}
	*out = unix.Rusage{}
	switch int32(a[0]) {
	case unix.RUSAGE_SELF:
		out.Utime = unix.NsecToTimeval(int64(busy()))
	case unix.RUSAGE_THREAD:
		out.Utime = unix.NsecToTimeval(int64(cpuClock(unix.CLOCK_THREAD_CPUTIME_ID)))
	case unix.RUSAGE_CHILDREN:
		return 0, 0
	default:
		return 0, syscall.EINVAL
	}
	total, available := s.machine.Memory()
	out.Maxrss = int64(total-available) / 1024
	return 0, 0
}

// clockTick is USER_HZ: the unit of times(2).
const clockTick = time.Second / 100

func (s *System) times(a *[6]uintptr) (int, syscall.Errno) {
	if a[0] != 0 {
		out, e := object[unix.Tms](&a[0])
		if e != 0 {
			return 0, e
		}
		*out = unix.Tms{Utime: int64(busy() / clockTick)}
	}
	return int(s.uptime() / clockTick), 0
}
