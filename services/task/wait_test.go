package task_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tuplix/tuplix/services/task"
)

// TestWaitTogether: all who wait for a task hear of its end with what came out of it,
// several for one task too, also where others stop waiting at that moment: it may be one
// of these whom the flush for all was left to.
func TestWaitTogether(t *testing.T) {
	s, _ := open(t, task.Options{})
	goOn := make(chan bool)
	register(t, s, "wait", func(c *task.Context) ([]byte, error) {
		<-goOn
		return fmt.Append(nil, c.Task.ID), nil
	})
	work(t, s, 100)
	const tasks, each = 20, 3
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range tasks {
			id, err := s.Submit(ctx, task.Request{Program: "wait"})
			check(t, err)
			for range each {
				all.Go(func() {
					st, err := s.Wait(t.Context(), id)
					if err != nil || st.State != task.Done || string(st.Value) != fmt.Sprint(id) {
						t.Errorf("got %+v, %v", st, err)
					}
				})
				all.Go(func() {
					if _, err := s.Wait(ctx, id); err != nil && !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
				})
			}
		}
		all.Go(cancel)
		for range tasks {
			goOn <- true
		}
		all.Wait()
		if n := s.Waiting(); n != 0 {
			t.Errorf("somebody still waits for %d tasks", n)
		}
	}
}
