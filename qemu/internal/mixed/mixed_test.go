package mixed

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/file"
	"github.com/tuplix/tuplix/services/message"
	"github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/task"
)

// done is a system on which so many orders were sent, two of them twice, and all
// handled and paid but for the last.
func done(t *testing.T, number int) *Work {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := system.Open(ctx, vfs.NewMem(), system.Options{File: file.Options{Memory: file.MinMemory}})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	w, err := Open(ctx, s)
	must(t, err)
	paid := make(chan int, number)
	must(t, w.Begin(ctx, func(n int) { paid <- n }, func(err error) { t.Error(err) }))
	for n := range number {
		must(t, w.Send(ctx, n))
		must(t, w.Transfer(ctx, n%2, n))
	}
	must(t, w.Send(ctx, 0))
	worked := make(chan error)
	go func() { worked <- s.Task.Work(ctx, "cashier", 2) }()
	for n := range number - 1 {
		handled, err := w.Handle(ctx)
		must(t, err)
		if handled != n {
			t.Fatalf("order %d was handled, not %d", handled, n)
		}
	}
	for range number - 1 {
		<-paid
	}
	cancel()
	must(t, <-worked)
	return w
}

func TestLook(t *testing.T) {
	w := done(t, 10)
	s, err := w.Look(t.Context())
	must(t, err)
	if got, want := s.String(), "sent 10 handled 9 paid 9 clerks map[0:5 1:5]"; got != want {
		t.Errorf("%s, should be %s", got, want)
	}
	must(t, s.Lost(&State{Sent: 9, Paid: []bool{true, false}, Clerks: map[int]int{1: 4}}))
	for _, earlier := range []*State{
		{Sent: 11}, {Sent: 10, Paid: make([]bool, 10)}, {Clerks: map[int]int{0: 6}},
	} {
		if s.Lost(earlier) == nil {
			t.Errorf("nothing is lost of %v", earlier)
		}
	}
	if (&State{Paid: []bool{false}}).Lost(&State{Paid: []bool{true}}) == nil {
		t.Error("a payment may be lost")
	}
}

// What is lost, done twice or done in part is found.
func TestLookFindsDamage(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(w *Work, tx *table.Tx, files *file.Tx) error
		want   string
	}{
		"row":     {func(w *Work, tx *table.Tx, _ *file.Tx) error { return w.orders.Delete(tx, 3) }, "order 3 is missing"},
		"message": {func(w *Work, tx *table.Tx, _ *file.Tx) error { return message.Messages.Delete(tx, orders, 10) }, "nothing"},
		"twice":   {func(w *Work, tx *table.Tx, _ *file.Tx) error { return w.move(tx, cashier, 3) }, "9 orders are paid by 10 transfers"},
		"mark": {func(w *Work, tx *table.Tx, _ *file.Tx) error {
			o, err := w.orders.Get(tx, 8)
			o.Paid = false
			return errors.Join(err, w.orders.Update(tx, &o))
		}, "order 8 is paid (false), its task is done"},
		"file":    {func(w *Work, _ *table.Tx, f *file.Tx) error { return f.Unlink(w.dir, "5") }, "9 orders have 8 files"},
		"content": {func(w *Work, _ *table.Tx, f *file.Tx) error { return damageFile(w, f) }, "the file of order 5"},
		"task": {func(w *Work, tx *table.Tx, _ *file.Tx) error {
			o, err := w.orders.Get(tx, 4)
			return errors.Join(err, task.Tasks.Delete(tx, o.Task))
		}, "the task of order 4"},
		"other task": {func(w *Work, tx *table.Tx, _ *file.Tx) error {
			o, err := w.orders.Get(tx, 4)
			if err != nil {
				return err
			}
			t, err := task.Tasks.Get(tx, o.Task)
			t.ID, t.Input, t.Result = 1<<40, false, false
			return errors.Join(err, task.Tasks.Insert(tx, &t))
		}, "9 orders have 10 tasks"},
	} {
		t.Run(name, func(t *testing.T) {
			w := done(t, 10)
			_, err := w.system.File.Update(t.Context(), &engine.Op{Name: "damage"}, func(tx *table.Tx, files *file.Tx) error {
				return test.damage(w, tx, files)
			})
			must(t, err)
			s, err := w.Look(t.Context())
			if test.want == "nothing" { // of a message that is gone only the sender knows
				if err != nil || s.Sent != 9 {
					t.Errorf("%v, %v", s, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, should be %q", err, test.want)
			}
		})
	}
}

func damageFile(w *Work, files *file.Tx) error {
	f, err := w.dir.Lookup("5")
	if err == nil {
		_, err = files.WriteAt(f, []byte("x"), 0)
	}
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
