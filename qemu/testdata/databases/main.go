// Databases works with other people's databases: SQLite with a log ahead of the file (WAL,
// whose index is a shared mapping), SQLite with a rollback journal, bbolt (which reads by a
// mapping and writes by pwrite), all of which lock their files, and Pebble (which makes,
// renames and removes many files, and syncs their directory). First it checks what is there:
// "found NAME ROWS". Then it adds rows, each its own durable transaction, reporting each
// ("ok NAME ROWS"), until it is killed or has added as many as its argument says: "done".
package main

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	bolt "go.etcd.io/bbolt"
	_ "modernc.org/sqlite"
)

// database is one of the four. Row n holds value(n).
type database interface {
	// check returns how many rows there are, an error if anything is not as it should be.
	check() (int, error)

	// add makes row n.
	add(n int) error

	close() error
}

func value(n int) []byte {
	p := make([]byte, 300+n*37%3000)
	for i := range p {
		p[i] = byte(n + i)
	}
	return p
}

func main() {
	if err := run(); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println("done")
}

func run() error {
	rows, err := strconv.Atoi(os.Args[1])
	if err != nil {
		return err
	}
	if err := os.MkdirAll("/data", 0o755); err != nil {
		return err
	}
	if err := checkMappings(); err != nil {
		return fmt.Errorf("mappings: %w", err)
	}
	databases := map[string]func() (database, error){
		"wal":    func() (database, error) { return openSQLite("/data/wal.db", "WAL") },
		"delete": func() (database, error) { return openSQLite("/data/delete.db", "DELETE") },
		"bbolt":  openBolt,
		"pebble": openPebble,
	}
	errs := make(chan error, len(databases))
	var begun sync.WaitGroup
	begun.Add(len(databases))
	for name, open := range databases {
		go func() { errs <- work(name, open, rows, &begun) }()
	}
	for range databases {
		if err := <-errs; err != nil {
			return err // the others would go on for long
		}
	}
	return nil
}

func work(name string, open func() (database, error), rows int, begun *sync.WaitGroup) error {
	first, d, err := start(name, open)
	begun.Done()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	begun.Wait()
	for n := first; n < first+rows; n++ {
		if err := d.add(n); err != nil {
			return fmt.Errorf("%s: row %d: %w", name, n, err)
		}
		fmt.Printf("ok %s %d\n", name, n+1)
	}
	if n, err := d.check(); err != nil || n != first+rows {
		return fmt.Errorf("%s: %d rows, %w", name, n, err)
	}
	return d.close()
}

func start(name string, open func() (database, error)) (int, database, error) {
	d, err := open()
	if err != nil {
		return 0, nil, err
	}
	n, err := d.check()
	if err != nil {
		return 0, nil, err
	}
	fmt.Printf("found %s %d\n", name, n)
	return n, d, nil
}

// sqlite writes by one connection and reads by another, so that both see the index.
type sqlite struct {
	writer, reader *sql.DB
	mode           string
}

func openSQLite(path, mode string) (database, error) {
	// With FULL, a rollback journal whose removal was the commit may be back after a power cut.
	dsn := "file:" + path + "?_pragma=busy_timeout(20000)&_pragma=journal_mode(" + mode + ")&_pragma=synchronous(EXTRA)"
	s := &sqlite{mode: mode}
	var err error
	if s.writer, err = sql.Open("sqlite", dsn); err != nil {
		return nil, err
	}
	if s.reader, err = sql.Open("sqlite", dsn); err != nil {
		return nil, err
	}
	s.writer.SetMaxOpenConns(1)
	_, err = s.writer.Exec("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, value BLOB); CREATE INDEX IF NOT EXISTS x ON rows (value)")
	return s, err
}

func (s *sqlite) check() (int, error) {
	var mode, verdict string
	if err := s.reader.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil {
		return 0, err
	}
	if (mode == "wal") != (s.mode == "WAL") {
		return 0, fmt.Errorf("the journal's mode is %s, not %s", mode, s.mode)
	}
	if err := s.reader.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		return 0, fmt.Errorf("integrity_check: %s, %w", verdict, err)
	}
	list, err := s.reader.Query("SELECT id, value FROM rows ORDER BY id")
	if err != nil {
		return 0, err
	}
	defer list.Close()
	n := 0
	for ; list.Next(); n++ {
		var id int
		var v []byte
		if err := list.Scan(&id, &v); err != nil {
			return n, err
		}
		if id != n || string(v) != string(value(n)) {
			return n, fmt.Errorf("row %d is %d, of %d bytes", n, id, len(v))
		}
	}
	return n, list.Err()
}

func (s *sqlite) add(n int) error {
	if _, err := s.writer.Exec("INSERT INTO rows VALUES (?, ?)", n, value(n)); err != nil {
		return err
	}
	var count int
	err := s.reader.QueryRow("SELECT count(*) FROM rows").Scan(&count)
	if err == nil && count != n+1 {
		err = fmt.Errorf("the other connection sees %d rows", count)
	}
	return err
}

func (s *sqlite) close() error { return errors.Join(s.reader.Close(), s.writer.Close()) }

type boltDB struct{ *bolt.DB }

var bucket = []byte("rows")

func openBolt() (database, error) {
	db, err := bolt.Open("/data/bolt.db", 0o600, &bolt.Options{Timeout: 20 * time.Second})
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	return boltDB{db}, err
}

func (b boltDB) check() (n int, err error) {
	err = b.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			return err
		}
		return tx.Bucket(bucket).ForEach(func(k, v []byte) error {
			if binary.BigEndian.Uint64(k) != uint64(n) || string(v) != string(value(n)) {
				return fmt.Errorf("row %d is %x, of %d bytes", n, k, len(v))
			}
			n++
			return nil
		})
	})
	return n, err
}

func (b boltDB) add(n int) error {
	return b.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucket).Put(binary.BigEndian.AppendUint64(nil, uint64(n)), value(n))
	})
}

func (b boltDB) close() error { return b.Close() }

type pebbleDB struct{ *pebble.DB }

func openPebble() (database, error) {
	db, err := pebble.Open("/data/pebble", &pebble.Options{
		FormatMajorVersion: pebble.FormatNewest, MemTableSize: 256 << 10, // flushed and compacted now and then
	})
	return pebbleDB{db}, err
}

func (p pebbleDB) check() (n int, err error) {
	if err := p.CheckLevels(nil); err != nil {
		return 0, err
	}
	rows, err := p.NewIter(nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for ok := rows.First(); ok; ok = rows.Next() {
		if binary.BigEndian.Uint64(rows.Key()) != uint64(n) || string(rows.Value()) != string(value(n)) {
			return n, fmt.Errorf("row %d is %x, of %d bytes", n, rows.Key(), len(rows.Value()))
		}
		n++
	}
	return n, rows.Error()
}

func (p pebbleDB) add(n int) error {
	return p.Set(binary.BigEndian.AppendUint64(nil, uint64(n)), value(n), pebble.Sync)
}

func (p pebbleDB) close() error { return p.Close() }
