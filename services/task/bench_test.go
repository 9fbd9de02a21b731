package task_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/task"
	"github.com/tuplix/tuplix/services/user"
)

func openBench(b *testing.B) *task.Service {
	b.Helper()
	b.Chdir(b.TempDir())
	st, err := store.Open(context.Background(), vfs.Default, store.Options{Options: embedded.Options{Memory: 512 << 20}}, append(task.Tables(), user.Tables()...)...)
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
	for _, clients := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			s := openBench(b)
			var done atomic.Int64
			all := make(chan bool)
			register(b, s, "empty", func(*task.Context) ([]byte, error) {
				if done.Add(1) == int64(b.N) {
					close(all)
				}
				return nil, nil
			})
			work(b, s, 256)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
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
			b.StopTimer()
		})
	}
}

var _ table.Span
