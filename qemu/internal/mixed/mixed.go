package mixed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/qemu/internal/bank"
	"github.com/tuplix/tuplix/services/file"
	"github.com/tuplix/tuplix/services/message"
	"github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/task"
	"github.com/tuplix/tuplix/services/user"
)

// cashier is the clerk of the bank who pays orders; other clerks have smaller numbers.
const cashier = 1000

// orders is the name of the mailbox and of the directory.
const orders = "orders"

// order is one that has been handled.
type order struct {
	Number int    `table:"key"`
	Task   uint64 // that pays it
	Paid   bool
}

// Work is the workload on an open system. All methods may be called concurrently.
type Work struct {
	system *system.System
	bank   *bank.Tables
	orders *table.Table[order]
	dir    *file.Inode // of the orders' files, once Begin has been called
}

// Open sees that the tables are there. It is enough for Look.
func Open(ctx context.Context, s *system.System) (*Work, error) {
	w := &Work{system: s, bank: bank.Declare(), orders: table.Declare[order]("order")}
	return w, s.Store.Create(ctx, &engine.Op{Name: "declare"}, append(w.bank.All(), w.orders)...)
}

// Begin sees that the rest is there. Paid is called with the number of each order
// that is paid, once that is durable; failed with what should not be.
func (w *Work) Begin(ctx context.Context, paid func(number int), failed func(error)) (err error) {
	if err := w.bank.Found(w.system.Store); err != nil {
		return err
	}
	err = w.system.Message.CreateMailbox(ctx, message.Mailbox{Name: orders})
	if err != nil && !errors.Is(err, message.ErrExists) {
		return err
	}
	if w.dir, err = w.directory(); errors.Is(err, os.ErrNotExist) {
		w.dir, err = w.system.File.Root().Create(orders, file.New{Mode: syscall.S_IFDIR | 0o755})
	}
	if err != nil {
		return err
	}
	return w.system.Task.Register(ctx, task.Program{Name: "pay"}, func(c *task.Context) ([]byte, error) {
		number, err := w.pay(c)
		switch {
		case err == nil:
			paid(number)
		case !errors.Is(err, task.ErrFenced): // else another attempt pays it
			failed(err)
		}
		return nil, err
	})
}

func (w *Work) directory() (*file.Inode, error) { return w.system.File.Root().Lookup(orders) }

// Transfer moves money along the ring. It is durable on return.
func (w *Work) Transfer(ctx context.Context, clerk, n int) error {
	_, err := w.system.Store.Update(ctx, &engine.Op{User: "clerk", Name: "transfer"}, func(tx *table.Tx) error {
		return w.move(tx, clerk, n)
	})
	return err
}

func (w *Work) move(tx *table.Tx, clerk, n int) error {
	from := (clerk + n) % bank.Accounts
	return w.bank.Transfer(tx, clerk, from, (from+1)%bank.Accounts, int64(1+n%100))
}

// Send sends an order. It is durable on return, and may be repeated.
func (w *Work) Send(ctx context.Context, number int) error {
	text := strconv.Itoa(number)
	_, err := w.system.Message.Send(ctx, orders, message.Outgoing{ID: "order " + text, Body: []byte(text), Durable: true})
	return err
}

// Handle takes an order out of the mailbox and does what it asks for. That is durable
// on return. It fails with message.ErrEmpty if there is none.
func (w *Work) Handle(ctx context.Context) (number int, err error) {
	s := w.system
	_, err = s.File.Update(ctx, &engine.Op{User: "handler", Name: "handle"}, func(tx *table.Tx, files *file.Tx) error {
		got, err := s.Message.In(ctx, tx).Take(orders)
		if err != nil {
			return err
		}
		if number, err = strconv.Atoi(string(got.Body)); err != nil {
			return err
		}
		f, err := files.Create(w.dir, strconv.Itoa(number), file.New{Mode: syscall.S_IFREG | 0o644})
		if err == nil {
			_, err = files.WriteAt(f, content(number), 0)
		}
		if err != nil {
			return fmt.Errorf("the file of order %d: %w", number, err)
		}
		id, err := s.Task.In(tx).Submit(user.From(ctx), task.Request{Program: "pay", Args: got.Body})
		if err != nil {
			return err
		}
		return w.orders.Insert(tx, &order{Number: number, Task: id})
	})
	return number, err
}

// content is what the file of an order has: some are longer than a page.
func content(number int) []byte {
	return fmt.Appendf(nil, "order %*d\n", 1+(number%5)*2000, number)
}

// pay is the program that the tasks run.
func (w *Work) pay(c *task.Context) (number int, err error) {
	if number, err = strconv.Atoi(string(c.Args)); err != nil {
		return 0, err
	}
	return number, c.Finish("pay", nil, func(tx *table.Tx) error {
		o, err := w.orders.Get(tx, number)
		if err != nil {
			return err
		}
		if o.Paid {
			return fmt.Errorf("order %d is paid already", number)
		}
		o.Paid = true
		return errors.Join(w.orders.Update(tx, &o), w.move(tx, cashier, number))
	})
}
