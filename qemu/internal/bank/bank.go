package bank

import (
	"context"
	"errors"
	"fmt"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
)

// Accounts is how many there are, Balance what each has at first.
const (
	Accounts = 20
	Balance  = 1000
)

type account struct {
	Number  int `table:"key"`
	Balance int64
	Branch  uint8
}

type ledger struct {
	Clerk int `table:"key"`
	Done  int
}

// Tables are those of a bank.
type Tables struct {
	accounts *table.Table[account]
	byBranch *table.Index[account]
	ledgers  *table.Table[ledger]
}

// Declare declares the tables. Balances may not be below zero.
func Declare() *Tables {
	t := &Tables{
		accounts: table.Declare[account]("account").Check("solvent", "balance >= 0"),
		ledgers:  table.Declare[ledger]("ledger"),
	}
	t.byBranch = t.accounts.Index("branch", "branch", "balance desc")
	return t
}

// All is what to open the store with.
func (t *Tables) All() []table.Declared { return []table.Declared{t.accounts, t.ledgers} }

// Found opens the accounts, if there are none.
func (t *Tables) Found(s *store.Store) error {
	_, err := s.Update(context.Background(), &engine.Op{Name: "found"}, func(tx *table.Tx) error {
		if _, err := t.accounts.Get(tx, 0); !errors.Is(err, table.ErrNotFound) {
			return err
		}
		for i := range Accounts {
			if err := t.accounts.Insert(tx, &account{i, Balance, uint8(i % 3)}); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// Transfer moves an amount, or less where there is less, and counts it.
func (t *Tables) Transfer(tx *table.Tx, clerk, from, to int, amount int64) error {
	l, err := t.ledgers.Get(tx, clerk)
	if err != nil && !errors.Is(err, table.ErrNotFound) {
		return err
	}
	if err := t.ledgers.Put(tx, &ledger{clerk, l.Done + 1}); err != nil || from == to {
		return err
	}
	a, err := t.accounts.Get(tx, from)
	if err != nil {
		return err
	}
	b, err := t.accounts.Get(tx, to)
	if err != nil {
		return err
	}
	amount = min(amount, a.Balance)
	a.Balance -= amount
	b.Balance += amount
	return errors.Join(t.accounts.Update(tx, &a), t.accounts.Update(tx, &b))
}

// State is what there is: transfers of each clerk.
type State map[int]int

// Look returns the state, and an error if the bank has not as much as it should.
func (t *Tables) Look(s *store.Store) (State, error) {
	found := State{}
	err := s.View(context.Background(), func(tx *table.Tx) error {
		sum, n := int64(0), 0
		for a, err := range t.byBranch.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			sum += a.Balance
			n++
		}
		if n != 0 && (n != Accounts || sum != Accounts*Balance) {
			return fmt.Errorf("%d accounts have %d together", n, sum)
		}
		for l, err := range t.ledgers.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			found[l.Clerk] = l.Done
		}
		return nil
	})
	return found, err
}
