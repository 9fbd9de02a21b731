package task_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/blockdev/crash"
	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/task"
	"github.com/tuplix/tuplix/services/user"
)

var (
	crashSeed  = flag.Uint64("crash.seed", 0, "run this `seed` of TestCrash only")
	crashSeeds = flag.Int("crash.seeds", 5, "run `n` seeds of TestCrash")
)

// TestCrash cuts the power while tasks are submitted, run, fail, are canceled and
// change workers. Afterwards every task whose submission was acknowledged is there
// and comes to its end, what a task does in its last transaction is done exactly
// once, and no attempt at a task that must not be run twice follows another.
func TestCrash(t *testing.T) {
	if *crashSeed != 0 {
		runCrash(t, *crashSeed)
		return
	}
	for i := range uint64(*crashSeeds) {
		if !t.Run(fmt.Sprint("seed=", i+1), func(t *testing.T) { runCrash(t, i+1) }) {
			t.Fatalf("run again with -crash.seed=%d", i+1)
		}
	}
}

const (
	crashDisk  = 48 << 20
	crashTurns = 3
)

// attempt is an attempt at a task that must not be run twice.
type attempt struct {
	Task uint64 `table:"key"`
	N    uint32 `table:"key"`
}

var attempts = table.Declare[attempt]("attempts")

// crashing is the test over all turns.
type crashing struct {
	t    *testing.T
	rand *rand.Rand
	disk *crash.Device

	mu    sync.Mutex
	acked []uint64
	lease uint64 // the highest fencing token that a task has shown
	past  uint64 // and that before the last crash
}

func runCrash(t *testing.T, seed uint64) {
	x := &crashing{t: t, rand: rand.New(rand.NewPCG(seed, 5))}
	disk := crash.New(crashDisk, 512)
	for range crashTurns {
		disk.ForkAfter(20 + x.rand.IntN(300))
		s, st := x.open(disk)
		x.turn(s, disk)
		s.Close()
		check(t, st.Close())
		var err error
		disk, err = disk.Crash(x.rand)
		check(t, err)
		x.past = x.lease
	}
	s, st := x.open(disk)
	x.finish(s)
	x.verify(st)
	whole(t, st)
	s.Close()
	check(t, st.Close())
}

func (x *crashing) open(disk *crash.Device) (*task.Service, *store.Store) {
	x.t.Helper()
	x.mu.Lock()
	x.disk = disk
	x.mu.Unlock()
	volume, err := blockfs.Open(disk, blockfs.Options{FormatBlank: true})
	check(x.t, err)
	ctx := context.Background()
	st, err := store.Open(ctx, volume, store.Options{}, append(append(task.Tables(), user.Tables()...), effects, attempts)...)
	check(x.t, err)
	whole(x.t, st)
	s, err := task.Open(ctx, st, task.Options{Lease: 3 * time.Second, Grace: 50 * time.Millisecond})
	check(x.t, err)
	whole(x.t, st)
	check(x.t, s.Register(ctx, task.Program{Name: "once"}, x.fenced(once)))
	check(x.t, s.Register(ctx, task.Program{Name: "never", OnCrash: task.NotTwice}, x.fenced(never)))
	check(x.t, s.SetQueue(ctx, task.Queue{Name: "narrow", Concurrency: 2, Weight: 1}))
	return s, st
}

// fenced is a program whose attempts show that their fencing tokens are larger than
// all before the crash: also than those of attempts that the crash has undone, which
// began before it was on the disk that they were taken.
func (x *crashing) fenced(program task.Func) task.Func {
	return func(c *task.Context) ([]byte, error) {
		x.mu.Lock()
		lease := c.Token().Lease
		if lease <= x.past {
			x.t.Errorf("task %d runs under lease %d, after a crash before which there was lease %d", c.Task.ID, lease, x.past)
		}
		if !x.disk.Cut() { // what follows the crash has not happened
			x.lease = max(x.lease, lease)
		}
		x.mu.Unlock()
		return program(c)
	}
}

// once has an effect in its last transaction, if it does not fail before.
func once(c *task.Context) ([]byte, error) {
	if c.Task.ID%5 == 0 && c.Task.Attempt == 1 {
		return nil, errors.New("not this time")
	}
	if c.Task.ID%3 == 0 {
		if _, err := c.Update("look", func(*table.Tx) error { return nil }); err != nil {
			return nil, err
		}
	}
	return nil, c.Finish("effect", nil, func(tx *table.Tx) error {
		return effects.Insert(tx, &effect{Task: c.Task.ID})
	})
}

// never notes that it was begun, in a transaction of its own.
func never(c *task.Context) ([]byte, error) {
	_, err := c.Update("attempt", func(tx *table.Tx) error {
		return attempts.Insert(tx, &attempt{Task: c.Task.ID, N: c.Task.Attempt})
	})
	return nil, err
}

// turn has clients and workers do things until the power is cut, or they are done.
func (x *crashing) turn(s *task.Service, disk *crash.Device) {
	var workers, clients sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	for range 2 {
		workers.Go(func() {
			for ctx.Err() == nil {
				some, leave := context.WithTimeout(ctx, 30*time.Millisecond)
				if err := s.Work(some, "crew", 3); err != nil {
					x.t.Error(err)
				}
				leave()
			}
		})
	}
	for n := range 3 {
		r := rand.New(rand.NewPCG(x.rand.Uint64(), uint64(n)))
		clients.Go(func() { x.client(s, disk, r) })
	}
	clients.Wait()
	stop()
	workers.Wait()
}

func (x *crashing) client(s *task.Service, disk *crash.Device, r *rand.Rand) {
	ctx := context.Background()
	var mine []uint64
	for range 40 {
		if r.IntN(8) == 0 && len(mine) > 0 {
			err := s.Cancel(ctx, mine[r.IntN(len(mine))])
			if err != nil && !errors.Is(err, task.ErrEnded) {
				x.t.Error(err)
			}
			continue
		}
		req := task.Request{Program: "once", Retry: task.Retry{Attempts: 9, Backoff: time.Millisecond}, Priority: int8(r.IntN(3))}
		switch r.IntN(4) {
		case 0:
			req.Program = "never"
		case 1:
			req.Queue = "narrow"
		case 2:
			req.Delay = time.Millisecond
		}
		id, err := s.Submit(ctx, req)
		if err != nil {
			x.t.Error(err)
			return
		}
		mine = append(mine, id)
		if !disk.Cut() {
			x.mu.Lock()
			x.acked = append(x.acked, id)
			x.mu.Unlock()
		}
	}
}

// finish waits for the end of all tasks.
func (x *crashing) finish(s *task.Service) {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	work, end := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Work(work, "last", 4) }()
	for _, id := range x.acked {
		if st, err := s.Wait(ctx, id); err != nil {
			x.t.Fatalf("task %d is %s: %v", id, st.State, err)
		}
	}
	end()
	check(x.t, <-ended)
}

func (x *crashing) verify(st *store.Store) {
	check(x.t, st.View(context.Background(), func(tx *table.Tx) error {
		for id, err := range allTasks(tx) {
			check(x.t, err)
			x.judge(tx, id)
		}
		return nil
	}))
}

// allTasks are all tasks.
func allTasks(tx *table.Tx) func(func(task.Task, error) bool) {
	return task.Tasks.Scan(tx, table.Span{})
}

func (x *crashing) judge(tx *table.Tx, k task.Task) {
	_, err := effects.Get(tx, k.ID, uint64(0))
	did := err == nil
	if k.Program == "once" && did != (k.State == task.Done) {
		x.t.Errorf("task %d is %s, and its effect is there: %v", k.ID, k.State, did)
	}
	n := 0
	for a, err := range attempts.Scan(tx, table.Prefix(k.ID)) {
		check(x.t, err)
		if n++; n > 1 || a.N != 1 {
			x.t.Errorf("task %d must not be run twice: attempt %d", k.ID, a.N)
		}
	}
}
