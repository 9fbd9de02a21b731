package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/board/host"
	"github.com/tuplix/tuplix/dbms/blockdev"
	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/store"
	services "github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/task"
)

const (
	taskClients   = 1024 // who submit at once, each waiting for the disk
	taskSlots     = 4096
	enoughTasks   = 50_000 // a second
	taskTurn      = 3 * time.Second
	taskTail      = 1000 // microseconds
	tasksTogether = 64   // in one procedure, of the figures about cost
	fewTasks      = 1000
	manyTasks     = 1_000_000
	manyQueues    = 1000
	taskWaiters   = 10_000
	taskOwners    = 512     // who wait for the ends of their tasks
	taskDisk      = 8 << 30 // bytes, of which the file takes what is used
)

// taskContests are the figures of package task. The percentile is the first of all:
// goroutines that have ended stay in a list that each collection of garbage walks, and
// after ten thousand of them one takes 6 ms, not 2.
func taskContests() []contest {
	return []contest{
		{spec{"tasks at 25,000 a second, to their run, p99", "us", lower, 1}, "1 ms", tasksTail, fixed(taskTail), true},
		{spec{"empty tasks in a second of one core, in memory", "1/s", higher, 1}, "50,000", tasksInMemory, fixed(enoughTasks), true},
		{spec{"empty tasks on one core, on disk", "1/s", higher, 1}, "50,000", tasksOnDisk, fixed(enoughTasks), true},
		{spec{"tasks to their end on disk", "1/s", higher, 20}, "PostgreSQL, SKIP LOCKED", tasksEnded, tasksWithin, true},
		{spec{"tasks to their end on disk, taken in batches", "1/s", higher, record}, "PostgreSQL, 64 at a time", tasksEnded, tasksInBatches, true},
		{spec{"tasks, 64 clients, each step on disk", "1/s", higher, record}, "PostgreSQL, three commits", tasksOurs, tasksPostgres, true},
		{spec{"task, a million queued", "us", lower, 1.2}, "1,000 queued", taskCost(manyTasks, 1), taskCost(fewTasks, 1), true},
		{spec{"task, 1,000 queues", "us", lower, 1.2}, "one queue", taskCost(manyQueues, manyQueues), taskCost(manyQueues, 1), true},
		{spec{"memory of who waits for a task", "B", lower, 1}, "10 KB", crowd(waitingForTasks).memory(taskWaiters), fixed(waitingBound), true},
		{spec{"processor for 10,000 who wait for tasks", "share", lower, 1}, "1 %", crowd(waitingForTasks).processor, fixed(idleBound), true},
	}
}

// withTasks runs fn with the services of a new system, and a program that does
// nothing but call run.
func withTasks(ctx context.Context, fs vfs.FS, run func(*task.Context), fn func(s *services.System) error) error {
	return withProgram(ctx, fs, task.Program{Name: "empty"}, run, fn)
}

func withProgram(ctx context.Context, fs vfs.FS, p task.Program, run func(*task.Context), fn func(s *services.System) error) error {
	s, err := services.Open(ctx, fs, services.Options{Store: store.Options{Options: embedded.Options{Memory: storeMemory}}})
	if err != nil {
		return err
	}
	err = s.Task.Register(ctx, p, func(c *task.Context) ([]byte, error) {
		run(c)
		return nil, nil
	})
	if err == nil {
		err = fn(s)
	}
	return errors.Join(err, s.Close())
}

// withWorker runs fn while a worker of this process runs tasks.
func withWorker(ctx context.Context, s *services.System, fn func() error) error {
	working, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Task.Work(working, "bench", taskSlots) }()
	err := fn()
	stop()
	return errors.Join(err, <-ended)
}

// onDisk runs fn with a volume in a file on the disk that the benchmark runs on.
func onDisk(fn func(vfs.FS) error) (err error) {
	dir, _, err := scratch()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	v, err := host.OpenVolume(filepath.Join(dir, "disk"), host.Options{Size: taskDisk})
	if err != nil {
		return err
	}
	return errors.Join(fn(v.FS), v.Close())
}

// inMemory runs fn with a volume in memory. A file of vfs.NewMem is one stretch of bytes,
// which is copied as it grows: a log of 64 MB holds everybody up for ten milliseconds
// then, which no disk does.
func inMemory(fn func(vfs.FS) error) error {
	v, err := blockfs.Open(blockdev.NewMemory(taskDisk, 4096), blockfs.Options{FormatBlank: true})
	if err != nil {
		return err
	}
	return errors.Join(fn(v), v.Close())
}

// tasksInMemory is by the processor's time, which is what they take whatever else runs
// on the host.
func tasksInMemory(ctx context.Context) (float64, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	_, perSecond, err := emptyTasks(ctx, vfs.NewMem())
	return perSecond, err
}

func tasksOnDisk(ctx context.Context) (perSecond float64, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	err = onDisk(func(fs vfs.FS) error {
		perSecond, _, err = emptyTasks(ctx, fs)
		return err
	})
	return perSecond, err
}

// emptyTasks has clients submit tasks, each the next when the last is durable, and
// a worker run them; the results are tasks that came to their end in a second, and in
// a second of the processor's time.
func emptyTasks(ctx context.Context, fs vfs.FS) (perSecond, perWork float64, err error) {
	var done atomic.Int64
	err = withTasks(ctx, fs, func(*task.Context) { done.Add(1) }, func(s *services.System) error {
		return withWorker(ctx, s, func() error {
			used, begun := processorTime(), time.Now()
			errs := make([]error, taskClients)
			var all sync.WaitGroup
			for c := range taskClients {
				all.Go(func() {
					for errs[c] == nil && time.Since(begun) < taskTurn {
						_, errs[c] = s.Task.Submit(ctx, task.Request{Program: "empty"})
					}
				})
			}
			all.Wait()
			n := float64(done.Load())
			perSecond, perWork = n/time.Since(begun).Seconds(), n/(processorTime()-used).Seconds()
			return errors.Join(errs...)
		})
	})
	return perSecond, perWork, err
}

// tasksTail submits tasks at a steady rate, whether or not those before are done,
// on one core, and returns after what time 99 of 100 have run.
func tasksTail(ctx context.Context) (us float64, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	err = inMemory(func(fs vfs.FS) error {
		us, err = tailOn(ctx, fs)
		return err
	})
	return us, err
}

func tailOn(ctx context.Context, fs vfs.FS) (us float64, err error) {
	var mu sync.Mutex
	due := map[uint64]time.Time{}
	var took []time.Duration
	run := func(c *task.Context) {
		mu.Lock()
		defer mu.Unlock()
		if at, ok := due[c.Task.ID]; ok {
			took = append(took, time.Since(at))
			delete(due, c.Task.ID)
		} else {
			due[c.Task.ID] = time.Now() // its number is not yet known to who submitted it
		}
	}
	err = withTasks(ctx, fs, run, func(s *services.System) error {
		return withWorker(ctx, s, func() error {
			var all sync.WaitGroup
			errs := make(chan error, 1)
			begun := time.Now()
			for n := 0; ; {
				elapsed := time.Since(begun)
				if elapsed > taskTurn {
					break
				}
				for ; n < int(elapsed.Seconds()*enoughTasks/2); n++ {
					at := begun.Add(time.Duration(float64(n) / (enoughTasks / 2) * float64(time.Second)))
					all.Go(func() {
						id, err := s.Task.Submit(ctx, task.Request{Program: "empty"})
						if err != nil {
							select {
							case errs <- err:
							default:
							}
							return
						}
						mu.Lock()
						defer mu.Unlock()
						if ran, ok := due[id]; ok {
							took = append(took, ran.Sub(at))
							delete(due, id)
						} else {
							due[id] = at
						}
					})
				}
				runtime.Gosched() // a sleep takes a millisecond, which is not the tasks'
			}
			all.Wait()
			select {
			case err := <-errs:
				return err
			default:
				return nil
			}
		})
	})
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(took)
	if err != nil || len(took) == 0 {
		return 0, err
	}
	return microseconds(took[len(took)*99/100]), nil
}

// taskCost measures submission, claim and completion of a task, some in each
// procedure, while so many others are queued in so many queues.
func taskCost(queued, queues int) measurement {
	return func(ctx context.Context) (us float64, err error) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		err = withTasks(ctx, vfs.NewMem(), func(*task.Context) {}, func(s *services.System) error {
			next := 0
			requests := func(n int) []task.Request {
				list := make([]task.Request, n)
				for i := range list {
					list[i] = task.Request{Program: "empty", Queue: queueName(next % queues)}
					next++
				}
				return list
			}
			for q := range queues {
				if err := s.Task.SetQueue(ctx, task.Queue{Name: queueName(q), Weight: 1}); err != nil {
					return err
				}
			}
			for n := 0; n < queued; n += loadedAtOnce {
				if _, err := s.Task.SubmitAll(ctx, requests(loadedAtOnce)); err != nil {
					return err
				}
			}
			// The compactions that queueing them brings about are not these tasks'.
			if err := s.Store.Engine().(*embedded.Engine).Compact(ctx); err != nil {
				return err
			}
			us, err = cycles(ctx, s.Task, requests)
			return err
		})
		return us, err
	}
}

func queueName(n int) string { return fmt.Sprintf("queue %d", n) }

// cycles returns microseconds for each task.
func cycles(ctx context.Context, s *task.Service, requests func(n int) []task.Request) (float64, error) {
	worker, err := s.Join(ctx, "bench", 2*tasksTogether)
	if err != nil {
		return 0, err
	}
	var ends []*task.Outcome
	used, n := processorTime(), 0
	for begun := time.Now(); time.Since(begun) < taskTurn; n += tasksTogether {
		if _, err := s.SubmitAll(ctx, requests(tasksTogether)); err != nil {
			return 0, err
		}
		got, err := s.Exchange(ctx, worker, ends, tasksTogether)
		if err != nil {
			return 0, err
		}
		ends = ends[:0]
		for i := range got {
			ends = append(ends, &task.Outcome{Token: got[i].Token()})
		}
	}
	return microseconds(processorTime()-used) / float64(n), nil
}

// waitingForTasks runs fn while many wait for the end of tasks that nobody runs.
func waitingForTasks(ctx context.Context, fn func(before int64)) error {
	return withTasks(ctx, vfs.NewMem(), func(*task.Context) {}, func(s *services.System) error {
		ids, err := s.Task.SubmitAll(ctx, slices.Repeat([]task.Request{{Program: "empty"}}, taskWaiters))
		if err != nil {
			return err
		}
		before := inUse()
		until, cancel := context.WithCancel(ctx)
		errs := make([]error, taskWaiters)
		var all sync.WaitGroup
		for i, id := range ids {
			all.Go(func() {
				if _, err := s.Task.Wait(until, id); !errors.Is(err, context.Canceled) {
					errs[i] = err
				}
			})
		}
		for s.Task.Waiting() < taskWaiters && ctx.Err() == nil {
			runtime.Gosched()
		}
		fn(before)
		cancel()
		all.Wait()
		return errors.Join(errs...)
	})
}
