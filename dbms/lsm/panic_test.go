package lsm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// slowScheduler runs one compaction at a time, as Pebble's own scheduler does, and
// is slow between asking which is next and starting it.
type slowScheduler struct {
	db       pebble.DBForCompaction
	running  atomic.Int64
	slow     atomic.Bool
	ended    chan struct{} // gets a value when Done has ended while slow
	panicked atomic.Pointer[string]
}

func (s *slowScheduler) Register(_ int, db pebble.DBForCompaction)         { s.db = db }
func (s *slowScheduler) Unregister()                                       {}
func (s *slowScheduler) UpdateGetAllowedWithoutPermission()                {}
func (s *slowScheduler) Started()                                          {}
func (s *slowScheduler) MeasureCPU(pebble.CompactionGoroutineKind)         {}
func (s *slowScheduler) CumulativeStats(pebble.CompactionGrantHandleStats) {}

func (s *slowScheduler) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	if !s.running.CompareAndSwap(0, 1) {
		return false, nil
	}
	return true, s
}

// Done is called on the goroutine of a compaction that has ended.
func (s *slowScheduler) Done() {
	defer func() {
		if s.slow.Load() {
			s.ended <- struct{}{}
		}
	}()
	s.running.Store(0)
	if waiting, _ := s.db.GetWaitingCompaction(); !waiting || !s.running.CompareAndSwap(0, 1) {
		return
	}
	if s.slow.Load() {
		time.Sleep(100 * time.Millisecond)
	}
	defer func() {
		if p := recover(); p != nil {
			what := fmt.Sprint(p)
			s.panicked.Store(&what)
		}
	}()
	if !s.db.Schedule(s) {
		s.running.Store(0)
	}
}

// TestPanic shows the panic that Compactor is there to avoid: of two compactions the
// first has no room, the second is taken off the list, and then started. Whether the
// second is on the list by then is for the scheduler to say, hence several tries.
func TestPanic(t *testing.T) {
	const tries = 20
	var c Compactor
	for range tries {
		what := compactWithoutRoom(t, func(db *pebble.DB) error {
			return c.Compact(context.Background(), db, []byte("a"), []byte("zz"), 1, func() bool { return false })
		})
		if what != nil {
			t.Fatalf("panic: %s", *what)
		}
	}
	for range tries {
		what := compactWithoutRoom(t, func(db *pebble.DB) error {
			return db.Compact(context.Background(), []byte("a"), []byte("zz"), true)
		})
		if what != nil && strings.Contains(*what, "did not find manual compaction") {
			return
		}
	}
	t.Error("Pebble does not panic any more: Compactor may be of no more use")
}

// compactWithoutRoom returns what Pebble has panicked with when compact, which is to
// rewrite all from a to zz, had no room for its first table, nil if it has not. Then
// it closes the database.
func compactWithoutRoom(t *testing.T, compact func(*pebble.DB) error) *string {
	t.Helper()
	fs, s := &fullFS{FS: vfs.NewMem()}, &slowScheduler{ended: make(chan struct{}, 10)}
	p := &pebble.Options{FS: fs, Logger: silent{t}, DisableAutomaticCompactions: true}
	p.EventListener = &pebble.EventListener{BackgroundError: func(error) {}}
	p.Experimental.CompactionScheduler = s
	db, err := pebble.Open("db", p)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		for _, key := range []string{"a", "b", "y", "z"} {
			if err := db.Set([]byte(key), fmt.Append(nil, round), pebble.Sync); err != nil {
				t.Fatal(err)
			}
			if key == "b" || key == "z" {
				if err := db.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if round == 0 {
			if err := db.Compact(t.Context(), []byte("a"), []byte("zz"), true); err != nil {
				t.Fatal(err)
			}
		}
	}
	fs.left.Store(1)
	s.slow.Store(true)
	if err := compact(db); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("compaction without room: %v", err)
	}
	<-s.ended
	what := s.panicked.Load()
	if what == nil {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	return what
}
