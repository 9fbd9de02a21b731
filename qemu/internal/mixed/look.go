package mixed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/qemu/internal/bank"
	"github.com/tuplix/tuplix/services/file"
	"github.com/tuplix/tuplix/services/message"
	"github.com/tuplix/tuplix/services/task"
)

// State is what has been done. Orders are numbered from 0, and sent and handled in
// this order.
type State struct {
	Sent   int        // orders in the mailbox, and those that are handled
	Paid   []bool     // of each order that is handled, whether it is paid
	Clerks bank.State // transfers of each clerk, without those that pay orders
}

// Handled is the number of orders that are handled.
func (s *State) Handled() int { return len(s.Paid) }

func (s *State) String() string {
	paid := 0
	for _, p := range s.Paid {
		if p {
			paid++
		}
	}
	return fmt.Sprintf("sent %d handled %d paid %d clerks %v", s.Sent, len(s.Paid), paid, map[int]int(s.Clerks))
}

// Lost says what of an earlier state is not there any more; nil: nothing.
func (s *State) Lost(earlier *State) error {
	if s.Sent < earlier.Sent || s.Handled() < earlier.Handled() {
		return fmt.Errorf("%v became %v", earlier, s)
	}
	for n, paid := range earlier.Paid {
		if paid && !s.Paid[n] {
			return fmt.Errorf("order %d was paid and is not", n)
		}
	}
	for clerk, n := range earlier.Clerks {
		if s.Clerks[clerk] < n {
			return fmt.Errorf("clerk %d made %d transfers, %d are there", clerk, n, s.Clerks[clerk])
		}
	}
	return nil
}

// Look proves that all agrees with each other, and says what has been done. Nothing
// may change meanwhile.
func (w *Work) Look(ctx context.Context) (*State, error) {
	s := &State{}
	var err error
	if s.Clerks, err = w.bank.Look(w.system.Store); err != nil {
		return nil, err
	}
	err = w.system.Store.View(ctx, func(tx *table.Tx) error {
		var found error
		err := task.Check(tx, func(p engine.Problem) { found = errors.Join(found, fmt.Errorf("%s: %s", p.Where, p.What)) })
		return errors.Join(err, found, w.lookAtOrders(tx, s), w.lookAtTasks(tx, s), lookAtMessages(tx, s))
	})
	if err != nil {
		return nil, err
	}
	delete(s.Clerks, cashier)
	return s, w.lookAtFiles(s)
}

func (w *Work) lookAtOrders(tx *table.Tx, s *State) error {
	paid := 0
	for o, err := range w.orders.Scan(tx, table.Span{}) {
		if err != nil {
			return err
		}
		if o.Number != len(s.Paid) {
			return fmt.Errorf("order %d is missing", len(s.Paid))
		}
		s.Paid = append(s.Paid, o.Paid)
		if o.Paid {
			paid++
		}
		t, err := task.Tasks.Get(tx, o.Task)
		if err != nil {
			return fmt.Errorf("the task of order %d: %w", o.Number, err)
		}
		if (t.State == task.Done) != o.Paid || t.State.Ended() && t.State != task.Done {
			return fmt.Errorf("order %d is paid (%v), its task is %s", o.Number, o.Paid, t.State)
		}
	}
	if s.Clerks[cashier] != paid {
		return fmt.Errorf("%d orders are paid by %d transfers", paid, s.Clerks[cashier])
	}
	return nil
}

// lookAtTasks sees that no order has two.
func (w *Work) lookAtTasks(tx *table.Tx, s *State) error {
	n := 0
	for t, err := range task.Tasks.Scan(tx, table.Span{}) {
		if err != nil {
			return err
		}
		if t.Program == "pay" {
			n++
		}
	}
	if n != s.Handled() {
		return fmt.Errorf("%d orders have %d tasks", s.Handled(), n)
	}
	return nil
}

func lookAtMessages(tx *table.Tx, s *State) error {
	s.Sent = s.Handled()
	for m, err := range message.Messages.Scan(tx, table.Prefix(orders)) {
		if err != nil {
			return err
		}
		if string(m.Body) != strconv.Itoa(s.Sent) {
			return fmt.Errorf("message %d has order %s, should be %d", m.Number, m.Body, s.Sent)
		}
		s.Sent++
	}
	return nil
}

func (w *Work) lookAtFiles(s *State) error {
	dir, err := w.directory()
	if errors.Is(err, os.ErrNotExist) && s.Handled() == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	files := 0
	err = dir.ReadDir(0, func(e file.Entry) bool {
		if e.Name != "." && e.Name != ".." {
			files++
		}
		return true
	})
	if err != nil {
		return err
	}
	if files != s.Handled() {
		return fmt.Errorf("%d orders have %d files", s.Handled(), files)
	}
	for n := range s.Paid {
		if err := lookAtFile(dir, n); err != nil {
			return fmt.Errorf("the file of order %d: %w", n, err)
		}
	}
	return nil
}

func lookAtFile(dir *file.Inode, number int) error {
	f, err := dir.Lookup(strconv.Itoa(number))
	if err != nil {
		return err
	}
	p := make([]byte, f.Size())
	if _, err := f.ReadAt(p, 0); err != nil {
		return err
	}
	if string(p) != string(content(number)) {
		return fmt.Errorf("%d bytes that are not its content", len(p))
	}
	return nil
}
