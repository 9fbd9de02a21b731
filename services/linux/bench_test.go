package linux

import (
	"fmt"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BenchmarkCall is what a hot call costs on the calling goroutine.
func BenchmarkCall(b *testing.B) {
	s := newSystem(b)
	path := []byte("/tmp/dir/file\x00")
	s.must(unix.SYS_MKDIRAT, atCWD, "/tmp/dir", uint32(0o755))
	fd := uintptr(s.open("/tmp/dir/file", unix.O_CREAT|unix.O_RDWR, 0o644))
	p, st := make([]byte, 4096), new(unix.Stat_t)
	s.must(unix.SYS_WRITE, fd, p, len(p))
	at := uintptr(unsafe.Pointer(&p[0]))
	name := uintptr(unsafe.Pointer(&path[0]))
	for _, c := range []struct {
		name string
		args [5]uintptr
	}{
		{"pread 4K", [5]uintptr{unix.SYS_PREAD64, fd, at, 4096, 0}},
		{"pwrite 4K", [5]uintptr{unix.SYS_PWRITE64, fd, at, 4096, 0}},
		{"lseek", [5]uintptr{unix.SYS_LSEEK, fd, 0, unix.SEEK_SET}},
		{"fstat", [5]uintptr{unix.SYS_FSTAT, fd, uintptr(unsafe.Pointer(st))}},
		{"stat", [5]uintptr{unix.SYS_STAT, name, uintptr(unsafe.Pointer(st))}},
		{"getuid", [5]uintptr{unix.SYS_GETUID}},
	} {
		b.Run(c.name, func(b *testing.B) {
			words := new([6]uintptr)
			b.ReportAllocs()
			for b.Loop() {
				copy(words[:], c.args[1:])
				if r := s.Call(c.args[0], words); r > failure(4096) {
					b.Fatal(-int(r))
				}
			}
		})
	}
	b.Run("open read close", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			fd := s.Call(unix.SYS_OPENAT, &[6]uintptr{atCWD, name, unix.O_RDONLY})
			s.Call(unix.SYS_READ, &[6]uintptr{fd, at, 4096})
			s.Call(unix.SYS_CLOSE, &[6]uintptr{fd})
		}
	})
	b.Run("create write fsync close", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			fd := s.open(fmt.Sprint("/tmp/dir/", i), unix.O_CREAT|unix.O_WRONLY, 0o644)
			s.must(unix.SYS_WRITE, fd, p, len(p))
			s.must(unix.SYS_FSYNC, fd)
			s.must(unix.SYS_CLOSE, fd)
		}
	})
}
