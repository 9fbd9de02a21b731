package table_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/model"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/dbms/table/value"
	"github.com/tuplix/tuplix/dbms/txn"
)

type Dir struct {
	ID   uint64 `table:"key"`
	Path string
}

type File struct {
	Inode  uint64 `table:"key,auto"`
	Dir    uint64
	Name   string
	Size   int64
	Mtime  time.Time
	Target sql.Null[string] // of a link
}

var (
	Dirs   = table.Declare[Dir]("dirs")
	Files  = table.Declare[File]("files").Check("size_valid", "size >= 0").Cascade("in_dir", Dirs, "dir")
	ByName = Files.Unique("by_name", "dir", "name")
	Recent = Files.Index("recent", "mtime desc").Where("size > 0")
)

var (
	ctx = context.Background()
	op  = &engine.Op{User: "ann", Program: "example"}
	now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
)

func open() *table.DB {
	db, err := table.Open(ctx, txn.New(model.New(nil)), op, Dirs, Files)
	if err != nil {
		log.Fatal(err)
	}
	return db
}

func Example() {
	db := open()
	_, err := db.Update(ctx, op, func(tx *table.Tx) error {
		if err := Dirs.Insert(tx, &Dir{ID: 1, Path: "/etc"}); err != nil {
			return err
		}
		for i, name := range []string{"hosts", "motd", "passwd"} {
			f := File{Dir: 1, Name: name, Size: int64(i * 10), Mtime: now.Add(time.Duration(i) * time.Hour)}
			if err := Files.Insert(tx, &f); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	err = db.View(ctx, func(tx *table.Tx) error {
		f, err := ByName.Get(tx, 1, "motd")
		if err != nil {
			return err
		}
		fmt.Println("motd is inode", f.Inode)
		for f, err := range Recent.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			fmt.Println(f.Mtime.Format(time.TimeOnly), f.Name)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// motd is inode 2
	// 14:00:00 passwd
	// 13:00:00 motd
}

func ExampleError() {
	db := open()
	_, err := db.Update(ctx, op, func(tx *table.Tx) error {
		return Files.Insert(tx, &File{Dir: 7, Name: "x"})
	})
	fmt.Println(err)
	var e *table.Error
	if errors.As(err, &e) && errors.Is(err, table.ErrReference) {
		fmt.Println(e.Table, e.Constraint, e.Key)
	}
	// Output:
	// files, in_dir (7): there is no row to refer to
	// files in_dir [7]
}

func ExampleTable_Restore() {
	db := open()
	before, err := db.Update(ctx, op, func(tx *table.Tx) error {
		return errors.Join(
			Dirs.Insert(tx, &Dir{ID: 1, Path: "/etc"}),
			Files.Insert(tx, &File{Dir: 1, Name: "hosts"}),
			Files.Insert(tx, &File{Dir: 1, Name: "motd"}))
	})
	if err == nil {
		_, err = db.Update(ctx, op, func(tx *table.Tx) error {
			_, err := Files.DeleteRange(tx, table.Span{})
			return err
		})
	}
	if err == nil {
		_, err = db.Update(ctx, op, func(tx *table.Tx) error { return Files.Restore(tx, table.Through(1), before) })
	}
	if err == nil {
		err = db.View(ctx, func(tx *table.Tx) error {
			for f, err := range ByName.Scan(tx, table.Prefix(1)) {
				if err != nil {
					return err
				}
				fmt.Println(f.Inode, f.Name)
			}
			return nil
		})
	}
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1 hosts
}

func ExampleTx_AddColumn() {
	db := open()
	_, err := db.Update(ctx, op, func(tx *table.Tx) error {
		if err := Dirs.Insert(tx, &Dir{ID: 1, Path: "/"}); err != nil {
			return err
		}
		size := table.ColumnDef{Name: "quota", Type: value.Int64, Default: value.OfInt(value.Int64, 100)}
		if err := tx.AddColumn("dirs", size); err != nil {
			return err
		}
		rows, err := tx.Rows("dirs")
		if err != nil {
			return err
		}
		row, err := rows.Get("", 1)
		fmt.Println(row)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// The declaration is now behind the catalog.
	err = db.View(ctx, func(tx *table.Tx) error {
		_, err := Dirs.Get(tx, 1)
		return err
	})
	fmt.Println(err)
	// Output:
	// [1 / 100]
	// table dirs is not as declared:
	// 	column quota is not declared: quota int64 default 100
}
