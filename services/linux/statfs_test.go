package linux

import (
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/services/file"
)

// TestStatfs asks for the space of each file system, by path and by descriptor. What is
// written counts before it is stored.
func TestStatfs(t *testing.T) {
	const total, left = 64 << 20, 40 << 20
	s := newSystem(t, func(c *Config) {
		c.Files = newFiles(t, func(o *file.Options) {
			o.Space = func() engine.Space { return engine.Space{Total: total, Free: left} }
		})
	})
	for path, want := range map[string]int64{
		"/": filesMagic, "/tmp": filesMagic, "/.at": filesMagic, "/proc": unix.PROC_SUPER_MAGIC, "/proc/self": unix.PROC_SUPER_MAGIC, "/sys": unix.SYSFS_MAGIC,
	} {
		st, of := new(unix.Statfs_t), new(unix.Statfs_t)
		s.must(unix.SYS_STATFS, path, unsafe.Pointer(st))
		fd := s.open(path, unix.O_RDONLY, 0)
		s.must(unix.SYS_FSTATFS, fd, unsafe.Pointer(of))
		if *st != *of {
			t.Errorf("%s: by path %+v, by descriptor %+v", path, st, of)
		}
		if readOnly := st.Flags&unix.ST_RDONLY != 0; readOnly != (path[1:] == ".at") {
			t.Errorf("%s is read-only: %v", path, readOnly)
		}
		if st.Type != want || st.Namelen != file.MaxName || st.Bsize != pageSize {
			t.Errorf("%s: %+v", path, st)
		}
	}
	s.must(unix.SYS_SYNC)
	st := new(unix.Statfs_t)
	s.must(unix.SYS_STATFS, "/tmp", unsafe.Pointer(st))
	free := st.Bfree
	if st.Blocks != total/pageSize || free == 0 || free > left/pageSize || st.Bavail != free {
		t.Errorf("%d of %d pages are free", free, st.Blocks)
	}
	const pages = 10
	if err := s.WriteFile("/tmp/f", make([]byte, pages*pageSize), 0o644); err != nil {
		t.Fatal(err)
	}
	s.must(unix.SYS_STATFS, "/tmp/f", unsafe.Pointer(st))
	if taken := free - st.Bfree; taken < pages || taken > 2*pages {
		t.Errorf("a file of %d pages that is not stored yet took %d", pages, taken)
	}
	s.fails(syscall.ENOENT, unix.SYS_STATFS, "/none", unsafe.Pointer(st))
	s.fails(syscall.ENOTDIR, unix.SYS_STATFS, "/tmp/f/x", unsafe.Pointer(st))
	s.fails(syscall.EBADF, unix.SYS_FSTATFS, 99, unsafe.Pointer(st))
	s.fails(syscall.EFAULT, unix.SYS_STATFS, "/", 0)
}

// What cannot be in a system of one program is refused as a kernel without it would.
func TestNoOtherPrograms(t *testing.T) {
	s := newSystem(t)
	for _, nr := range []uintptr{unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_CLONE3, unix.SYS_PIDFD_OPEN} {
		s.fails(syscall.ENOSYS, nr)
	}
}
