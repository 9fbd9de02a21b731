// Tables is the program with which package qemu tests the store on the metal: a
// bank whose clerks move money. Its arguments are the number of clerks and how
// many transfers each makes; with a third, "hurry", the transfers do not wait
// until they are durable, and the program just ends.
package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/qemu/internal/bank"
)

func main() {
	clerks, err := strconv.Atoi(os.Args[1])
	fail(err)
	transfers, err := strconv.Atoi(os.Args[2])
	fail(err)
	hurry := len(os.Args) > 3 && os.Args[3] == "hurry"

	tables := bank.Declare()
	s, err := store.OpenHere(context.Background(), store.Options{}, tables.All()...)
	fail(err)
	fail(s.Check(context.Background(), func(p engine.Problem) { fail(fmt.Errorf("%s: %s", p.Where, p.What)) }))
	fail(tables.Found(s))
	found, err := tables.Look(s)
	fail(err)
	fmt.Println("found", found)
	fmt.Println("begin")
	var wg sync.WaitGroup
	for c := range clerks {
		wg.Go(func() {
			for n := 0; n < transfers; n++ {
				_, err := s.Update(context.Background(), &engine.Op{User: "clerk", Name: "transfer", NoWait: hurry},
					func(tx *table.Tx) error {
						return tables.Transfer(tx, c, rand.IntN(bank.Accounts), rand.IntN(bank.Accounts), rand.Int64N(100))
					})
				fail(err)
				if !hurry {
					fmt.Println("ok", c, n)
				}
			}
		})
	}
	wg.Wait()
	fmt.Println("done")
}

func fail(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(3)
	}
}
