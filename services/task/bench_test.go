package task_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/services/task"
	"github.com/tuplix/tuplix/services/user"
)

func openBench(b *testing.B, fs vfs.FS) *task.Service {
	b.Helper()
	b.Chdir(b.TempDir())
	st, err := store.Open(context.Background(), fs, store.Options{Options: embedded.Options{Memory: 512 << 20}}, append(task.Tables(), user.Tables()...)...)
	check(b, err)
	s, err := task.Open(context.Background(), st, task.Options{Log: b.Logf})
	check(b, err)
	b.Cleanup(func() {
		s.Close()
		check(b, st.Close())
	})
	return s
}

// BenchmarkEmpty is submit, claim and completion of empty tasks by clients that
// each wait until their submission is durable, on one core.
func BenchmarkEmpty(b *testing.B) {
	for _, clients := range []int{1, 16, 256, 1024} {
		b.Run(fmt.Sprint("mem/", clients), func(b *testing.B) { benchEmpty(b, vfs.NewMem(), clients) })
	}
	for _, clients := range []int{1, 256, 1024} {
		b.Run(fmt.Sprint("disk/", clients), func(b *testing.B) { benchEmpty(b, vfs.Default, clients) })
	}
}

// processorTime is what this process has used: other work on the host does not count.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchEmpty(b *testing.B, fs vfs.FS, clients int) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s := openBench(b, fs)
	var done atomic.Int64
	all := make(chan bool)
	register(b, s, "empty", func(*task.Context) ([]byte, error) {
		if done.Add(1) == int64(b.N) {
			close(all)
		}
		return nil, nil
	})
	work(b, s, 4096)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	used := processorTime()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := s.Submit(context.Background(), task.Request{Program: "empty"}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	<-all
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
	b.ReportMetric(float64(processorTime()-used)/float64(b.N), "cpu-ns/op")
	b.StopTimer()
	m := s.Metrics()
	b.ReportMetric(float64(b.N)/float64(m.Commits), "tasks/commit")
	b.ReportMetric(float64(b.N)/float64(m.Syncs), "tasks/sync")
}

// BenchmarkCycle is submission, claim and completion of tasks, some in each procedure,
// while others wait, in one queue or many.
func BenchmarkCycle(b *testing.B) {
	for _, queues := range []int{1, 1000} {
		b.Run(fmt.Sprint("queues/", queues), func(b *testing.B) { benchCycle(b, queues) })
	}
}

func benchCycle(b *testing.B, queues int) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const together = 64
	ctx := context.Background()
	s := openBench(b, vfs.NewMem())
	register(b, s, "empty", func(*task.Context) ([]byte, error) { return nil, nil })
	next := 0
	submit := func() {
		list := make([]task.Request, together)
		for i := range list {
			list[i] = task.Request{Program: "empty", Queue: fmt.Sprint("queue ", next%queues)}
			next++
		}
		_, err := s.SubmitAll(ctx, list)
		check(b, err)
	}
	for q := range queues {
		check(b, s.SetQueue(ctx, task.Queue{Name: fmt.Sprint("queue ", q)}))
	}
	for range 1024 / together {
		submit()
	}
	worker, err := s.Join(ctx, "bench", 2*together)
	check(b, err)
	var ends []*task.Outcome
	b.ResetTimer()
	used := processorTime()
	for n := 0; n < b.N; n += together {
		submit()
		got, err := s.Exchange(ctx, worker, ends, together)
		check(b, err)
		ends = ends[:0]
		for i := range got {
			ends = append(ends, &task.Outcome{Token: got[i].Token()})
		}
	}
	b.ReportMetric(float64(processorTime()-used)/float64(b.N), "cpu-ns/op")
}
