package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/tuplix/tuplix/qemu/internal/workload"
)

const root = "/work"

func directory(worker int) string { return workload.Directory(root, worker) }

// work says what it finds of the last run, clears it away, and then has workers
// do their operations side by side, each acknowledged on the console once it is
// durable. With step set it waits for a line after each round.
func work(args []int) error {
	seed, workers, operations, step := uint64(args[0]), args[1], args[2], args[3] != 0
	found, err := workload.ReadAll(root, workers)
	if err != nil {
		return fmt.Errorf("what was there: %w", err)
	}
	fmt.Println("found", workload.Digest(found))
	if err := workload.ClearAway(root, workers); err != nil {
		return err
	}
	fmt.Println("begin")
	w := &worker{generators: make([]*workload.Generator, workers), done: make([]int, workers)}
	for i := range workers {
		w.generators[i] = workload.NewGenerator(seed, i)
	}
	if step {
		err = w.rounds(operations)
	} else {
		err = w.run(operations)
	}
	if err != nil {
		fmt.Printf("failed %s: %v\n", name(err), err)
		return w.afterwards(seed)
	}
	return nil
}

type worker struct {
	generators []*workload.Generator
	done       []int // operations acknowledged
}

func (w *worker) one(i int) error {
	o := w.generators[i].Next()
	if err := o.Do(directory(i)); err != nil {
		return fmt.Errorf("worker %d: %v: %w", i, o, err)
	}
	w.done[i]++
	fmt.Println("ok", i, o.Number)
	return nil
}

// each runs do for all workers side by side.
func (w *worker) each(do func(i int) error) error {
	errs := make([]error, len(w.generators))
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (w *worker) run(operations int) error {
	return w.each(func(i int) error {
		for range operations {
			if err := w.one(i); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *worker) rounds(operations int) error {
	in := bufio.NewScanner(os.Stdin)
	for n := range operations {
		if err := w.each(w.one); err != nil {
			return err
		}
		fmt.Println("round", n)
		if !in.Scan() {
			return errors.Join(errors.New("end of input"), in.Err())
		}
	}
	return nil
}

// afterwards tries the files after an error: reading must give what was
// acknowledged, or an error; what a change does now is told.
func (w *worker) afterwards(seed uint64) error {
	for i, done := range w.done {
		found, err := workload.ReadTree(directory(i))
		if err != nil {
			fmt.Printf("reading %s: %v\n", name(err), err)
			continue
		}
		if _, err := workload.NewTimeline(seed, i).Match(found, done, 1); err != nil {
			fmt.Println("WRONG", i, err)
			os.Exit(statusWrong)
		}
		fmt.Println("intact", i, done)
	}
	err := os.WriteFile(root+"/after", []byte("after"), 0o600)
	if err == nil {
		err = os.Remove(root + "/after")
	}
	if err != nil {
		return fmt.Errorf("writing after the error: %w", err)
	}
	fmt.Println("writing goes on")
	return nil
}
