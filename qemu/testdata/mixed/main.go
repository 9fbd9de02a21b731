// Mixed is the program with which package qemu pulls the plug: files, orders that
// pass through messages, rows, files and tasks, and a ring of balances, all at once.
// Each thing is told on the console once it is durable. Its arguments are the seed
// of the files' operations, how many goroutines change files, and how many clerks
// move money.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/qemu/internal/mixed"
	"github.com/tuplix/tuplix/qemu/internal/workload"
	"github.com/tuplix/tuplix/services/message"
	"github.com/tuplix/tuplix/services/system"
)

const root = "/work"

func main() {
	ctx := context.Background()
	seed, workers, clerks := argument(1), argument(2), argument(3)
	s, err := system.OpenHere(ctx)
	fail(err)
	fail(s.Store.Check(ctx, func(p engine.Problem) { fail(fmt.Errorf("%s: %s", p.Where, p.What)) }))
	w, err := mixed.Open(ctx, s)
	fail(err)
	state, err := w.Look(ctx)
	fail(err)
	trees, err := workload.ReadAll(root, workers)
	fail(err)
	fmt.Println("found", workload.Digest(trees), state)
	fail(workload.ClearAway(root, workers))
	fail(w.Begin(ctx, func(n int) { fmt.Println("ok pay 0", n) }, fail))
	fmt.Println("begin")

	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() { changeFiles(uint64(seed), i) })
	}
	for i := range clerks {
		all.Go(func() { moveMoney(ctx, w, i) })
	}
	sent := make(chan struct{}, 1)
	sent <- struct{}{} // of before
	all.Go(func() { send(ctx, w, state.Sent, sent) })
	all.Go(func() { handle(ctx, w, sent) })
	all.Go(func() { fail(s.Task.Work(ctx, "cashier", 4)) })
	all.Wait()
}

func argument(i int) int {
	n, err := strconv.Atoi(os.Args[i])
	fail(err)
	return n
}

func changeFiles(seed uint64, worker int) {
	dir := workload.Directory(root, worker)
	for g := workload.NewGenerator(seed, worker); ; {
		o := g.Next()
		fail(o.Do(dir))
		fmt.Println("ok file", worker, o.Number)
	}
}

func moveMoney(ctx context.Context, w *mixed.Work, clerk int) {
	for n := 0; ; n++ {
		fail(w.Transfer(ctx, clerk, n))
		fmt.Println("ok clerk", clerk, n)
	}
}

// send begins with an order that was sent before: that must not make another.
func send(ctx context.Context, w *mixed.Work, next int, sent chan<- struct{}) {
	for n := max(0, next-1); ; n++ {
		fail(w.Send(ctx, n))
		fmt.Println("ok send 0", n)
		select {
		case sent <- struct{}{}:
		default: // somebody was told already
		}
	}
}

func handle(ctx context.Context, w *mixed.Work, sent <-chan struct{}) {
	for range sent {
		for {
			n, err := w.Handle(ctx)
			if errors.Is(err, message.ErrEmpty) {
				break
			}
			fail(err)
			fmt.Println("ok handle 0", n)
		}
	}
}

func fail(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(3)
	}
}
