// Package store is what a program opens to keep its state: an engine, the tables
// on it, and what concerns them as a whole.
//
//	volume (blockfs, a directory, memory)
//	   └ engine/embedded   versions, transactions, restores
//	       └ txn           own writes, interactive transactions
//	           └ table     rows, indexes, catalog
//	               └ Store: background work, restore with its plan, check
//
// A program declares its tables, opens a store with them, and works with the
// methods of table.DB, which a Store has:
//
//	var notes = table.Declare[Note]("note")
//
//	s, err := store.Open(ctx, volume, store.Options{}, notes)
//	...
//	_, err = s.Update(ctx, &engine.Op{User: user, Name: "add note"}, func(tx *table.Tx) error {
//		return notes.Insert(tx, &Note{Text: text})
//	})
//
// The package owns the directory of the store on its volume, and the goroutine
// that does the work in the background: index builds, and repairs after restores.
// It guarantees that this work goes on where it was when a store is opened again,
// and that a plan says what a restore would do before it is done. It refuses a
// store that holds an interrupted load of a backup.
//
// It imports the packages above, and backup.
package store
