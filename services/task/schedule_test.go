package task_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/tuplix/tuplix/services/task"
)

// A schedule that is set while nothing is due for long, and nobody calls anything, has its
// tasks run by the machine's clock: the first, and the next. The second round is the one
// that counts: in the first, what the service begins with may still wake the timers.
func TestScheduleWakes(t *testing.T) {
	s, _ := open(t, task.Options{Lease: time.Hour}) // that of the worker is a timer, too
	ran := make(chan time.Time)
	register(t, s, "tell", func(c *task.Context) ([]byte, error) {
		select {
		case ran <- time.Now():
		case <-c.Done():
		}
		return nil, nil
	})
	work(t, s, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 2 {
		for s.Idle() == 0 || time.Until(s.Wakes()) < 2*time.Minute {
			select {
			case <-ran: // of the last round
			case <-ctx.Done():
				t.Fatal("the timers do not sleep")
			default:
				runtime.Gosched()
			}
		}
		begin := time.Now().Truncate(time.Second)
		check(t, s.SetSchedule(ctx, task.Schedule{Name: "each second", Program: "tell", Cron: "* * * * * *"}))
		for n := 1; n <= 2; n++ {
			select {
			case at := <-ran:
				if first := begin.Add(time.Duration(n) * time.Second); at.Before(first) {
					t.Errorf("run %d is at %v, before %v", n, at, first)
				}
			case <-ctx.Done():
				t.Fatalf("there is no run %d", n)
			}
		}
		check(t, s.DropSchedule(ctx, "each second"))
	}
}
