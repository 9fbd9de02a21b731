package linux

import (
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/services/file"
)

// fakeMachine shows figures that a test can recognise.
type fakeMachine struct{}

func (fakeMachine) Memory() (total, available uint64) { return 256 << 20, 100 << 20 }
func (fakeMachine) Processors() int                   { return 2 }
func (fakeMachine) Activity() Activity                { return Activity{Threads: 5, Switches: 77, Interrupts: 88} }
func (fakeMachine) Processor() Processor {
	return Processor{Vendor: "GenuineTest", Name: "A Processor", Family: 6, Model: 3, Hz: 2_500_000_000, Features: []string{"fpu", "lm"}}
}
func (fakeMachine) Started() time.Time  { return bootTime }
func (fakeMachine) CommandLine() string { return "quiet" }
func (fakeMachine) Log() []byte         { return []byte("first\nlast\n") }

var bootTime = time.Now()

// testSystem is a System with what a test wants to look at.
type testSystem struct {
	*System
	t      testing.TB
	kernel *fakeKernel
}

// newFiles makes files in memory.
func newFiles(t testing.TB, configure ...func(*file.Options)) *file.FS {
	t.Helper()
	o := store.Options{Options: embedded.Options{Memory: embedded.MinMemory, Log: t.Logf}}
	s, err := store.Open(t.Context(), vfs.NewMem(), o, file.Tables()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close of the store: %v", err)
		}
	})
	fo := file.Options{Memory: file.MinMemory, Log: t.Logf}
	for _, f := range configure {
		f(&fo)
	}
	files, err := file.Open(s.DB, fo)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// newSystem makes a system on files in memory; when the test ends they must
// be consistent.
func newSystem(t testing.TB, configure ...func(*Config)) *testSystem {
	t.Helper()
	files := newFiles(t)
	kernel := newFakeKernel()
	c := Config{Kernel: kernel, Files: files, Machine: fakeMachine{}}
	for _, f := range configure {
		f(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := files.Check(); err != nil {
			t.Errorf("check: %v", err)
		}
		if err := files.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &testSystem{s, t, kernel}
}

// argument is what a test may pass to a system call.
type argument any

// call makes a system call. Strings become zero-terminated ones, slices and
// pointers are passed as they are.
func (s *testSystem) call(nr uintptr, arguments ...argument) (int, syscall.Errno) {
	s.t.Helper()
	words, unpin := s.words(arguments)
	defer unpin()
	r := s.Call(nr, &words)
	if r > failure(4096) {
		return -1, syscall.Errno(-r)
	}
	return int(r), 0
}

// words are the arguments as the registers of a call, pinned until unpin.
func (s *testSystem) words(arguments []argument) (words [6]uintptr, unpin func()) {
	s.t.Helper()
	pinner := new(runtime.Pinner)
	for i, a := range arguments {
		words[i] = word(s.t, pinner, a)
	}
	return words, pinner.Unpin
}

func word(t testing.TB, pinner *runtime.Pinner, a argument) uintptr {
	t.Helper()
	pin := func(p unsafe.Pointer) uintptr {
		if p != nil {
			pinner.Pin(p)
		}
		return uintptr(p)
	}
	switch a := a.(type) {
	case int:
		return uintptr(a)
	case uint32:
		return uintptr(a)
	case uintptr:
		return a
	case string:
		b := append([]byte(a), 0)
		return pin(unsafe.Pointer(&b[0]))
	case []byte:
		return pin(unsafe.Pointer(unsafe.SliceData(a)))
	case unsafe.Pointer:
		return pin(a)
	}
	t.Fatalf("argument of type %T", a)
	return 0
}

// must makes a system call that has to succeed.
func (s *testSystem) must(nr uintptr, arguments ...argument) int {
	s.t.Helper()
	n, e := s.call(nr, arguments...)
	if e != 0 {
		s.t.Fatalf("system call %d %v: %v", nr, arguments, e)
	}
	return n
}

// fails makes a system call that has to fail with the errno.
func (s *testSystem) fails(want syscall.Errno, nr uintptr, arguments ...argument) {
	s.t.Helper()
	if n, e := s.call(nr, arguments...); e != want {
		s.t.Errorf("system call %d %v: %d %v, want %v", nr, arguments, n, e, want)
	}
}
