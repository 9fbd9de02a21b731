package linux

import (
	"fmt"
	"syscall"

	"github.com/tuplix/tuplix/services/file"
)

// firstDirectories exist from the first boot on. /.at, /proc and /sys are
// mounted over.
var firstDirectories = []struct {
	path string
	mode uint32
}{
	{"/.at", 0o555}, {"/bin", 0o755}, {"/dev", 0o755}, {"/dev/shm", 0o1777}, {"/etc", 0o755},
	{"/home", 0o755}, {"/mnt", 0o755}, {"/proc", 0o555}, {"/root", 0o700},
	{"/run", 0o755}, {"/sys", 0o555}, {"/tmp", 0o1777}, {"/usr", 0o755},
	{"/var", 0o755}, {"/var/log", 0o755}, {"/var/tmp", 0o1777},
}

var firstDevices = []struct {
	path   string
	mode   uint32
	number uint64
}{
	{"/dev/null", 0o666, deviceNull}, {"/dev/zero", 0o666, deviceZero},
	{"/dev/full", 0o666, deviceFull}, {"/dev/random", 0o666, deviceRandom},
	{"/dev/urandom", 0o666, deviceURandom}, {"/dev/tty", 0o666, deviceTTY},
	{"/dev/console", 0o600, deviceConsole},
}

var firstLinks = []struct{ path, target string }{
	{"/dev/fd", "/proc/self/fd"}, {"/dev/stdin", "/proc/self/fd/0"},
	{"/dev/stdout", "/proc/self/fd/1"}, {"/dev/stderr", "/proc/self/fd/2"},
	{"/etc/mtab", "/proc/self/mounts"},
}

// firstFiles are ordinary files that people may change; only a missing one
// is made.
var firstFiles = []struct{ path, text string }{
	{"/etc/hostname", "tuplix\n"},
	{"/etc/os-release", "NAME=Tuplix\nID=tuplix\nPRETTY_NAME=Tuplix\n"},
	{"/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"},
	{"/etc/resolv.conf", ""},
	{"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"},
	{"/etc/passwd", "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"},
	{"/etc/group", "root:x:0:\nnogroup:x:65534:\n"},
}

// prepareFiles makes what programs expect to find, where it is missing.
func (s *System) prepareFiles() error {
	for _, d := range firstDirectories {
		if err := s.ensure(d.path, file.New{Mode: syscall.S_IFDIR | d.mode}); err != nil {
			return err
		}
	}
	for _, d := range firstDevices {
		if err := s.ensure(d.path, file.New{Mode: syscall.S_IFCHR | d.mode, Device: d.number}); err != nil {
			return err
		}
	}
	for _, l := range firstLinks {
		if err := s.ensure(l.path, file.New{Mode: syscall.S_IFLNK | 0o777, Target: l.target}); err != nil {
			return err
		}
	}
	if err := s.ensure(s.executable, file.New{Mode: syscall.S_IFREG | 0o755}); err != nil {
		return err // os.Executable finds a file there; the program itself is in memory
	}
	for _, f := range firstFiles {
		if _, err := s.resolve(atCWD, f.path, false, bySystem); err == nil {
			continue
		}
		if err := s.WriteFile(f.path, []byte(f.text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// ensure makes something unless there is anything of that name.
func (s *System) ensure(path string, what file.New) error {
	p, err := s.place(atCWD, path, bySystem)
	if err == nil {
		if e := s.make(p, what); e != 0 && e != syscall.EEXIST {
			err = e
		}
	}
	if err != nil {
		return fmt.Errorf("linux: prepare %s: %w", path, err)
	}
	return nil
}

// WriteFile writes a whole file, making it with the mode if it is not there.
// Readers see the old contents or the new, never a mixture, because the new
// file takes the old one's name when it is complete. It is for other
// services, which have settings to show (/etc/resolv.conf).
func (s *System) WriteFile(path string, data []byte, mode uint32) error {
	p, err := s.place(atCWD, path, bySystem)
	if err != nil {
		return fmt.Errorf("linux: write %s: %w", path, err)
	}
	parent, err := editable(p.parent)
	if err != nil {
		return fmt.Errorf("linux: write %s: %w", path, err)
	}
	temporary := fmt.Sprintf(".%s.%d", p.last, s.anonymous.Add(1))
	n, err := parent.Create(temporary, file.New{Mode: syscall.S_IFREG | mode})
	if err == nil {
		_, err = n.WriteAt(data, 0)
	}
	if err == nil {
		err = s.files.Rename(parent, temporary, parent, p.last, 0)
	}
	if err != nil {
		return fmt.Errorf("linux: write %s: %w", path, err)
	}
	return nil
}

// unnamedFile is an open file that has no name and goes when it is closed.
func (s *System) unnamedFile() (Description, error) {
	name := fmt.Sprintf(".unnamed.%d", s.anonymous.Add(1))
	root := s.files.Root()
	n, err := root.Create(name, file.New{Mode: syscall.S_IFREG | 0o777})
	if err != nil {
		return nil, err
	}
	if err := n.Open(); err != nil {
		return nil, err
	}
	if err := root.Unlink(name); err != nil {
		return nil, closeAfter(&diskFile{inode: n}, errno(err))
	}
	return &diskFile{inode: n}, nil
}

// readSmallFile reads a file of settings, "" if there is none.
func (s *System) readSmallFile(path string) string {
	n, err := s.resolve(atCWD, path, true, bySystem)
	if err != nil {
		return ""
	}
	inode, err := editable(n)
	if err != nil {
		return ""
	}
	p := make([]byte, pageSize)
	count, err := inode.ReadAt(p, 0)
	if err != nil {
		return ""
	}
	return string(p[:count])
}
