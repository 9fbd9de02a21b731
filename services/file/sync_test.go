package file

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// slowLog counts the flushes of the store's log while it is on, and holds up the first.
type slowLog struct {
	on      atomic.Bool
	flushes atomic.Int64
	begun   chan struct{} // closed when the first has begun
	finish  chan struct{} // closed when it may end
}

func (s *slowLog) String() string { return "slow log" }

func (s *slowLog) MaybeError(op errorfs.Op) error {
	flush := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
	if flush && strings.HasSuffix(op.Path, ".log") && s.on.Load() && s.flushes.Add(1) == 1 {
		close(s.begun)
		<-s.finish
	}
	return nil
}

// TestSyncShares has many write and sync files of their own while the device is busy with
// the flush of one: the next flush is for all of them.
func TestSyncShares(t *testing.T) {
	const others = 50
	disk := vfs.NewCrashableMem()
	slow := &slowLog{begun: make(chan struct{}), finish: make(chan struct{})}
	fs := must[*FS](t)(mount(errorfs.Wrap(disk, slow), Options{SyncInterval: time.Hour, Log: t.Logf}))
	defer closeChecked(t, fs)
	first := create(t, fs.Root(), "first")
	var files []*Inode
	for i := range others {
		files = append(files, create(t, fs.Root(), fmt.Sprint(i)))
	}
	must[any](t)(nil, fs.Sync())

	slow.on.Store(true)
	must[int](t)(first.WriteAt([]byte("first"), 0))
	done := make(chan error, 1+others)
	go func() { done <- first.Sync() }()
	select {
	case <-slow.begun:
	case err := <-done:
		close(slow.finish)
		t.Fatalf("Sync returns without a flush: %v", err)
	}
	for i, f := range files {
		must[int](t)(f.WriteAt(fmt.Append(nil, i), 0))
	}
	for _, f := range files {
		go func() { done <- f.Sync() }()
	}
	close(slow.finish)
	for range 1 + others {
		must[any](t)(nil, <-done)
	}
	if n := slow.flushes.Load(); n != 2 {
		t.Errorf("%d calls of Sync made %d flushes of the device, should be 2", 1+others, n)
	}

	left := must[*FS](t)(mount(disk.CrashClone(vfs.CrashCloneCfg{}), Options{Log: t.Logf}))
	defer closeChecked(t, left)
	for i := range others {
		if got := readAll(t, must[*Inode](t)(left.Root().Lookup(fmt.Sprint(i)))); string(got) != fmt.Sprint(i) {
			t.Errorf("file %d was synced, and has %q after a power cut", i, got)
		}
	}
}
