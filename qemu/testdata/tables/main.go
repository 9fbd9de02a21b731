// Tables is the program with which package qemu tests the store on the metal: a
// bank whose clerks move money, and do not wait until that is durable. Its arguments
// are the number of clerks and how many transfers each makes; 0 is without end. With a
// third each transfer is told of as soon as it has taken effect: on the console if it is
// "console", else to that address, in a datagram each.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"

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
	tell := func(string) {}
	if len(os.Args) > 3 {
		tell = teller(os.Args[3])
	}

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
			for n := 0; transfers == 0 || n < transfers; n++ {
				_, err := s.Update(context.Background(), &engine.Op{User: "clerk", Name: "transfer", NoWait: true},
					func(tx *table.Tx) error {
						return tables.Transfer(tx, c, rand.IntN(bank.Accounts), rand.IntN(bank.Accounts), rand.Int64N(100))
					})
				fail(err)
				tell(fmt.Sprintln("ok", c, found[c]+n+1))
			}
		})
	}
	wg.Wait()
	fmt.Println("done")
}

// teller returns what tells the outside.
func teller(to string) func(text string) {
	if to == "console" {
		return func(text string) { fmt.Print(text) }
	}
	conn, err := net.Dial("udp", to)
	fail(err)
	return func(text string) {
		if _, err := conn.Write([]byte(text)); err != nil && !errors.Is(err, syscall.ENOBUFS) {
			fail(err)
		}
	}
}

func fail(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(3)
	}
}
