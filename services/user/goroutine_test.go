package user_test

import (
	"context"
	"testing"

	"github.com/tuplix/tuplix/services/user"
)

// A goroutine, and those that it starts, know for whom they run.
func TestGoroutine(t *testing.T) {
	if c, ok := user.OfGoroutine(); ok {
		t.Fatalf("the test runs for %+v", c)
	}
	want := user.Caller{User: "ann", Program: "mail", Task: "7"}
	user.Do(t.Context(), want, func(ctx context.Context) {
		if got, ok := user.OfGoroutine(); !ok || got != want || user.From(ctx) != want {
			t.Errorf("%+v, %v", got, ok)
		}
		inner := make(chan user.Caller)
		go func() {
			c, _ := user.OfGoroutine()
			inner <- c
		}()
		if got := <-inner; got != want {
			t.Errorf("a goroutine of it: %+v", got)
		}
		other := user.Caller{User: "bob"}
		user.Do(ctx, other, func(context.Context) {
			if got, _ := user.OfGoroutine(); got != other {
				t.Errorf("%+v", got)
			}
		})
		if got, _ := user.OfGoroutine(); got != want {
			t.Errorf("afterwards %+v", got)
		}
	})
	if c, ok := user.OfGoroutine(); ok {
		t.Errorf("afterwards the test runs for %+v", c)
	}
}
