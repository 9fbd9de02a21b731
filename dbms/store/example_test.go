package store_test

import (
	"context"
	"fmt"
	"log"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
)

// Note is a row of the table below.
type Note struct {
	Topic string `table:"key"`
	ID    uint64 `table:"key,auto"`
	Text  string
}

var (
	notes  = table.Declare[Note]("note").Check("not_empty", "text != ''")
	byText = notes.Index("text", "text")
)

// A program keeps notes, loses some, looks at who did it, and has them back. On
// the machine it would open its store by OpenHere, in a process of Linux by
// board/host; here the volume is in memory.
func Example() {
	ctx := context.Background()
	s, err := store.Open(ctx, vfs.NewMem(), store.Options{}, notes)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	good, err := s.Update(ctx, &engine.Op{User: "ann", Name: "add notes"}, func(tx *table.Tx) error {
		for _, text := range []string{"buy milk", "call Bob"} {
			if err := notes.Insert(tx, &Note{Topic: "home", Text: text}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = s.Update(ctx, &engine.Op{User: "mallory", Name: "wipe"}, func(tx *table.Tx) error {
		_, err := notes.DeleteRange(tx, table.Prefix("home"))
		return err
	})
	if err != nil {
		log.Fatal(err)
	}

	home := store.Target{Table: "note", Key: []any{"home"}}
	plan, err := s.Plan(ctx, home, good)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s would be undone, by %s: %d rows\n", plan.By[0].Name, plan.By[0].User, plan.Tables[0].Rows)
	if _, err := s.Restore(ctx, &engine.Op{User: "ann", Name: "restore"}, home, good); err != nil {
		log.Fatal(err)
	}
	err = s.View(ctx, func(tx *table.Tx) error {
		for n, err := range byText.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			fmt.Println(n.ID, n.Text)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// wipe would be undone, by mallory: 2 rows
	// 1 buy milk
	// 2 call Bob
}
