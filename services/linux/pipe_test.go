package linux

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func (s *testSystem) pipe(flags int) (r, w int) {
	s.t.Helper()
	fds := new([2]int32)
	s.must(unix.SYS_PIPE2, unsafe.Pointer(fds), flags)
	return int(fds[0]), int(fds[1])
}

func TestPipeBlocks(t *testing.T) {
	s := newSystem(t)
	r, w := s.pipe(0)
	const total = 1 << 20
	go func() {
		p := make([]byte, 10_000)
		for sent := 0; sent < total; {
			n := min(len(p), total-sent)
			for i := range n {
				p[i] = byte((sent + i) % 251)
			}
			sent += s.must(unix.SYS_WRITE, w, p, n)
		}
		s.must(unix.SYS_CLOSE, w)
	}()
	got := 0
	p := make([]byte, 7777)
	for {
		n := s.must(unix.SYS_READ, r, p, len(p))
		if n == 0 {
			break
		}
		for i, c := range p[:n] {
			if c != byte((got+i)%251) {
				t.Fatalf("byte %d is wrong", got+i)
			}
		}
		got += n
	}
	if got != total {
		t.Errorf("%d bytes", got)
	}
}

// TestPipeReadiness follows what the kernel's epoll is told.
func TestPipeReadiness(t *testing.T) {
	s := newSystem(t)
	r, w := s.pipe(unix.O_NONBLOCK)
	p := make([]byte, pipeCapacity+1)
	if s.kernel.isReady(r, syscall.EPOLLIN) || !s.kernel.isReady(w, syscall.EPOLLOUT) {
		t.Error("a new pipe is readable, or not writable")
	}
	s.fails(syscall.EAGAIN, unix.SYS_READ, r, p, 1)
	if n := s.must(unix.SYS_WRITE, w, p, len(p)); n != pipeCapacity {
		t.Errorf("wrote %d", n)
	}
	if !s.kernel.isReady(r, syscall.EPOLLIN) {
		t.Error("not readable")
	}
	s.fails(syscall.EAGAIN, unix.SYS_WRITE, w, p, 1)
	if s.kernel.isReady(w, syscall.EPOLLOUT) {
		t.Error("still writable when full")
	}
	s.must(unix.SYS_READ, r, p, pipeAtomic)
	if !s.kernel.isReady(w, syscall.EPOLLOUT) {
		t.Error("not writable after a read")
	}
	dup := s.must(unix.SYS_DUP, w)
	s.must(unix.SYS_CLOSE, w)
	if s.kernel.isReady(r, syscall.EPOLLHUP) {
		t.Error("hung up with a writer left")
	}
	s.must(unix.SYS_CLOSE, dup)
	if !s.kernel.isReady(r, syscall.EPOLLHUP) {
		t.Error("not hung up")
	}
}

func TestPipeWithoutReader(t *testing.T) {
	s := newSystem(t)
	r, w := s.pipe(0)
	s.must(unix.SYS_CLOSE, r)
	s.fails(syscall.EPIPE, unix.SYS_WRITE, w, []byte("x"), 1)
	if !s.kernel.isReady(w, syscall.EPOLLERR) {
		t.Error("no error on the writer")
	}
}

func TestPoll(t *testing.T) {
	s := newSystem(t)
	r, w := s.pipe(0)
	fds := &[3]unix.PollFd{{Fd: int32(r), Events: unix.POLLIN}, {Fd: -1}, {Fd: 99, Events: unix.POLLIN}}
	if n := s.must(unix.SYS_POLL, unsafe.Pointer(fds), 2, 20); n != 0 {
		t.Errorf("%d ready", n)
	}
	time.AfterFunc(10*time.Millisecond, func() { s.must(unix.SYS_WRITE, w, []byte("x"), 1) })
	if n := s.must(unix.SYS_POLL, unsafe.Pointer(fds), 2, -1); n != 1 || fds[0].Revents != unix.POLLIN {
		t.Errorf("%d ready, %v", n, fds)
	}
	if n := s.must(unix.SYS_POLL, unsafe.Pointer(fds), 3, -1); n != 2 || fds[2].Revents != unix.POLLNVAL {
		t.Errorf("%d ready, %v", n, fds)
	}
	set := new([16]uint64)
	set[0] = 1<<r | 1<<w
	if n := s.must(unix.SYS_PSELECT6, 64, unsafe.Pointer(set), 0, 0, 0, 0); n != 1 || set[0] != 1<<r {
		t.Errorf("select: %d, %b", n, set[0])
	}
}

func TestFIFO(t *testing.T) {
	s := newSystem(t)
	s.must(unix.SYS_MKNODAT, atCWD, "/tmp/fifo", uint32(unix.S_IFIFO|0o600), 0)
	s.fails(syscall.ENXIO, unix.SYS_OPENAT, atCWD, "/tmp/fifo", unix.O_WRONLY|unix.O_NONBLOCK, 0)
	go func() {
		w := s.open("/tmp/fifo", unix.O_WRONLY, 0)
		s.must(unix.SYS_WRITE, w, []byte("through"), 7)
		s.must(unix.SYS_CLOSE, w)
	}()
	if got := s.readAll("/tmp/fifo"); got != "through" {
		t.Errorf("read %q", got)
	}
}

// TestFIFOHangsUpAgain: a hang-up from before the writer came must not hide
// the edge of the one when it goes.
func TestFIFOHangsUpAgain(t *testing.T) {
	s := newSystem(t)
	s.must(unix.SYS_MKNODAT, atCWD, "/tmp/fifo", uint32(unix.S_IFIFO|0o600), 0)
	r := s.open("/tmp/fifo", unix.O_RDONLY|unix.O_NONBLOCK, 0)
	w := s.open("/tmp/fifo", unix.O_WRONLY, 0)
	s.fails(syscall.EAGAIN, unix.SYS_READ, r, make([]byte, 8), 8)
	if s.kernel.isReady(r, syscall.EPOLLHUP) {
		t.Error("still hung up with a writer")
	}
	s.must(unix.SYS_CLOSE, w)
	if !s.kernel.isReady(r, syscall.EPOLLHUP) {
		t.Error("not hung up again")
	}
}

func TestDup(t *testing.T) {
	s := newSystem(t)
	fd := s.open("/tmp/f", unix.O_CREAT|unix.O_RDWR, 0o644)
	other := s.must(unix.SYS_FCNTL, fd, unix.F_DUPFD_CLOEXEC, 100)
	if other != 100 || s.must(unix.SYS_FCNTL, other, unix.F_GETFD, 0) != unix.FD_CLOEXEC {
		t.Errorf("dup above 100 is %d", other)
	}
	s.must(unix.SYS_DUP3, fd, 50, 0)
	s.must(unix.SYS_WRITE, fd, []byte("abc"), 3)
	if at := s.must(unix.SYS_LSEEK, 50, 0, unix.SEEK_CUR); at != 3 {
		t.Errorf("offset of the duplicate is %d", at)
	}
	s.must(unix.SYS_FCNTL, 50, unix.F_SETFL, unix.O_APPEND|unix.O_NONBLOCK)
	if flags := s.must(unix.SYS_FCNTL, fd, unix.F_GETFL, 0); flags&(unix.O_APPEND|unix.O_NONBLOCK|unix.O_RDWR) != unix.O_APPEND|unix.O_NONBLOCK|unix.O_RDWR {
		t.Errorf("flags %#x", flags)
	}
	s.fails(syscall.EINVAL, unix.SYS_DUP3, fd, fd, 0)
	s.fails(syscall.EBADF, unix.SYS_DUP3, 77, 3, 0)
	s.must(unix.SYS_DUP2, fd, fd)
	s.must(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, unsafe.Pointer(&unix.Rlimit{Cur: 4, Max: MaxDescriptors}), 0)
	s.fails(syscall.EMFILE, unix.SYS_DUP, fd)
	s.must(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, unsafe.Pointer(&unix.Rlimit{Cur: MaxDescriptors, Max: MaxDescriptors}), 0)
	s.must(unix.SYS_CLOSE_RANGE, 3, int(^uint32(0)), 0)
	s.fails(syscall.EBADF, unix.SYS_FCNTL, fd, unix.F_GETFD, 0)
}

func TestLocks(t *testing.T) {
	s := newSystem(t)
	a := s.open("/tmp/f", unix.O_CREAT|unix.O_RDWR, 0o644)
	b := s.open("/tmp/f", unix.O_RDWR, 0)
	s.must(unix.SYS_FLOCK, a, unix.LOCK_EX)
	s.fails(syscall.EWOULDBLOCK, unix.SYS_FLOCK, b, unix.LOCK_SH|unix.LOCK_NB)
	got := make(chan struct{})
	go func() {
		s.must(unix.SYS_FLOCK, b, unix.LOCK_EX)
		close(got)
	}()
	select {
	case <-got:
		t.Error("two exclusive locks")
	case <-time.After(10 * time.Millisecond):
	}
	s.must(unix.SYS_CLOSE, a) // gives the lock up
	<-got
	a = s.open("/tmp/f", unix.O_RDWR, 0)
	lock := &unix.Flock_t{Type: unix.F_WRLCK, Start: 10, Len: 10}
	s.must(unix.SYS_FCNTL, a, unix.F_OFD_SETLK, unsafe.Pointer(lock))
	other := &unix.Flock_t{Type: unix.F_RDLCK, Start: 15}
	s.fails(syscall.EAGAIN, unix.SYS_FCNTL, b, unix.F_OFD_SETLK, unsafe.Pointer(other))
	s.must(unix.SYS_FCNTL, b, unix.F_OFD_GETLK, unsafe.Pointer(other))
	if other.Type != unix.F_WRLCK || other.Start != 10 || other.Len != 10 {
		t.Errorf("in the way: %+v", other)
	}
	middle := &unix.Flock_t{Type: unix.F_UNLCK, Start: 13, Len: 2}
	s.must(unix.SYS_FCNTL, a, unix.F_OFD_SETLK, unsafe.Pointer(middle))
	free := &unix.Flock_t{Type: unix.F_WRLCK, Start: 13, Len: 2}
	s.must(unix.SYS_FCNTL, b, unix.F_OFD_SETLK, unsafe.Pointer(free))
	s.must(unix.SYS_FCNTL, a, unix.F_SETLKW, unsafe.Pointer(&unix.Flock_t{Type: unix.F_RDLCK, Start: 100}))
}

func TestCopyBetweenFiles(t *testing.T) {
	s := newSystem(t)
	a := s.open("/tmp/a", unix.O_CREAT|unix.O_RDWR, 0o644)
	b := s.open("/tmp/b", unix.O_CREAT|unix.O_RDWR, 0o644)
	data := bytes.Repeat([]byte("0123456789"), 50_000)
	s.must(unix.SYS_WRITE, a, data, len(data))
	s.must(unix.SYS_LSEEK, a, 0, unix.SEEK_SET)
	if n := s.must(unix.SYS_COPY_FILE_RANGE, a, 0, b, 0, 1<<30, 0); n != len(data) {
		t.Errorf("copied %d", n)
	}
	if got := s.readAll("/tmp/b"); got != string(data) {
		t.Error("copy differs")
	}
	r, w := s.pipe(unix.O_NONBLOCK)
	off := new(int64)
	*off = 5
	n := s.must(unix.SYS_SENDFILE, w, a, unsafe.Pointer(off), 1<<20)
	if *off != int64(n)+5 || n != pipeCapacity {
		t.Errorf("sent %d, offset %d", n, *off)
	}
	p := make([]byte, n)
	s.must(unix.SYS_READ, r, p, n)
	if !bytes.Equal(p, data[5:5+n]) {
		t.Error("sent something else")
	}
}

func TestVectors(t *testing.T) {
	s := newSystem(t)
	fd := s.open("/tmp/f", unix.O_CREAT|unix.O_RDWR, 0o644)
	x, y := []byte("hello "), []byte("world")
	list := &[3]syscall.Iovec{{Base: &x[0], Len: 6}, {}, {Base: &y[0], Len: 5}}
	if n := s.must(unix.SYS_WRITEV, fd, unsafe.Pointer(list), 3); n != 11 {
		t.Errorf("wrote %d", n)
	}
	if got := s.readAll("/tmp/f"); got != "hello world" {
		t.Errorf("%q", got)
	}
	clear(x)
	if n := s.must(unix.SYS_PREADV, fd, unsafe.Pointer(list), 1, 5); n != 6 || string(x) != " world" {
		t.Errorf("read %d %q", n, x)
	}
	r, w := s.pipe(0)
	s.must(unix.SYS_WRITE, w, []byte("abc"), 3)
	if n := s.must(unix.SYS_READV, r, unsafe.Pointer(list), 3); n != 3 { // does not wait for more
		t.Errorf("read %d", n)
	}
}

// TestConcurrentCalls uses everything from many goroutines, for the race
// detector and the checker.
func TestConcurrentCalls(t *testing.T) {
	s := newSystem(t)
	steps := 400
	if testing.Short() {
		steps = 100
	}
	shared := s.open("/tmp/shared", unix.O_CREAT|unix.O_RDWR|unix.O_APPEND, 0o644)
	var running sync.WaitGroup
	for g := range uint64(8) {
		running.Go(func() {
			r := rand.New(rand.NewPCG(g, 5))
			p := make([]byte, 5000)
			for i := range steps {
				path := fmt.Sprintf("/tmp/%d", r.IntN(5))
				fd, e := s.call(unix.SYS_OPENAT, atCWD, path, unix.O_CREAT|unix.O_RDWR, uint32(0o644))
				if e == 0 {
					s.call(unix.SYS_WRITE, fd, p, r.IntN(len(p)))
					s.call(unix.SYS_PREAD64, fd, p, len(p), 0)
					dup, _ := s.call(unix.SYS_DUP, fd)
					s.call(unix.SYS_CLOSE, fd)
					s.call(unix.SYS_FSYNC, dup)
					s.call(unix.SYS_CLOSE, dup)
				}
				s.call(unix.SYS_WRITE, shared, p, 10)
				s.call(unix.SYS_RENAMEAT, atCWD, path, atCWD, fmt.Sprintf("/tmp/%d", r.IntN(5)))
				s.call(unix.SYS_NEWFSTATAT, atCWD, path, unsafe.Pointer(new(unix.Stat_t)), 0)
				if i%3 == 0 {
					s.call(unix.SYS_UNLINKAT, atCWD, path, 0)
				}
			}
		})
	}
	running.Wait()
	st := new(unix.Stat_t)
	s.must(unix.SYS_FSTAT, shared, unsafe.Pointer(st))
	if st.Size != int64(8*10*steps) {
		t.Errorf("size of the shared file is %d", st.Size)
	}
}
