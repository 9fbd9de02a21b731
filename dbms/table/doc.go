// Package table keeps Go structs as rows of tables: with indexes, constraints and
// schemas that change, in transactions, over any engine.
//
//	type File struct {
//		Inode  uint64 `table:"key,auto"`
//		Dir    uint64
//		Name   string
//		Size   int64
//		Mtime  time.Time
//		Target sql.Null[string] // of a link
//	}
//
//	var (
//		Files  = table.Declare[File]("files").Check("size_valid", "size >= 0").Cascade("in_dir", Dirs, "dir")
//		ByName = Files.Unique("by_name", "dir", "name")
//		Recent = Files.Index("recent", "mtime desc").Where("size > 0")
//	)
//
//	db, err := table.Open(ctx, txn.New(engine), op, Dirs, Files)
//
//	_, err = db.Update(ctx, op, func(tx *table.Tx) error {
//		f, err := ByName.Get(tx, dir, "notes")
//		if errors.Is(err, table.ErrNotFound) {
//			return Files.Insert(tx, &File{Dir: dir, Name: "notes", Mtime: now})
//		}
//		if err != nil {
//			return err
//		}
//		f.Mtime = now
//		return Files.Update(tx, &f)
//	})
//
//	err = db.View(ctx, func(tx *table.Tx) error {
//		for f, err := range Recent.Scan(tx, table.From(now).Limit(10)) {
//			...
//		}
//	})
//
// A Table and its Indexes read by Get, GetBatch, Scan and First; a Table writes by
// Insert, Put (insert or replace), Update, Delete and DeleteRange. Keys are given
// as values of the columns, in their order. A Span is a range of an index:
// Prefix, From, After, To, Through, Reverse, Limit. Rows are copies; the loop over
// a Scan may do anything with the transaction.
//
// # Transactions
//
// DB.Update runs a procedure, serially; DB.View and DB.ViewAt read a version;
// DB.Begin starts an interactive transaction, with Tx.Savepoint, Tx.RollbackTo
// and Tx.Commit. What they promise is said in package engine. A call that fails
// with an *Error (ErrExists, ErrUnique, ErrReference ...) has changed nothing,
// and the transaction can go on.
//
// # The catalog and its evolution
//
// The catalog is tables too: catalog.tables, columns, indexes, constraints,
// sequences, jobs. They are read by Tx.Rows, which serves any table to code that
// knows it only at run time. Open compares every declaration with the catalog and
// says what differs. Changes are transactions: Tx.CreateTable, DropTable,
// RenameTable, AddColumn, DropColumn, RenameColumn, ChangeColumn, AddIndex,
// DropIndex, AddCheck, AddReference, DropConstraint. Rows are never rewritten for
// them: each names the version of the schema under which it was written. A new
// check or reference is tried on all rows by the call that adds it. A new index of
// a table with rows, what is left of dropped ones, and indexes after a restore of
// some rows are worked on in the background, by DB.Run or DB.Work.
//
// Checks, conditions and defaults are text in the small language of package expr,
// because SQL and the catalog have to show them.
//
// # Time
//
// Table.History and Changes are the versions of rows. Tx.RestoreAll, RestoreTable
// and Table.Restore (of a span of the primary key: a directory, a workflow) make
// rows as they were, in constant time.
//
// # How it is kept
//
//	span.go       ranges of keys           definition.go  what a table is made of
//	binding.go    key of a row             declare.go     from a Go struct
//	rowcodec.go   value of a row           schema.go      from the catalog
//	entry.go      entry of an index        catalog.go     the catalog's tables
//	layout.go, memory.go   columns in memory: fields of structs, or Values
//
//	read.go, readindex.go   write.go, reference.go   restore.go, repair.go   check.go
//	evolve.go, change.go, constrain.go   changes of tables   job.go, build.go
//
// The package owns all keys of a store, and how rows and entries are encoded in
// them. It imports packages txn and engine of Tuplix, and key, value and expr
// below it. It guarantees that indexes and constraints agree with the rows
// whatever is written through it, that Check finds where they do not, and that
// rows which do not decode give engine.ErrCorrupt, never a wrong row. It refuses
// declarations that are different from the catalog, and writes to the catalog but
// by the methods above.
package table
