package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/file"
)

// aggregateFiles is how many files the aggregate has, a thousand in a directory. One in
// ten has an owner other than 0, from the first on.
var aggregateFiles int

const (
	aggregateEach   = 1000
	aggregateOwners = 7
	firstOwner      = 1000
)

// sums are the bytes that each owner has, from the first on.
type sums [aggregateOwners]int64

// aggregate measures what it takes to add up the sizes of many files by owner, in
// milliseconds: by a scan of the table of inodes, or on Linux by find and awk. The files
// stay, since removing them takes longer than all the rest.
func aggregate(dir string) (float64, error) {
	work, err := os.MkdirTemp(dir, "aggregate-")
	if err != nil {
		return 0, err
	}
	want, err := makeOwned(work)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	got, err := aggregateTable()
	if errors.Is(err, store.ErrNone) {
		got, err = aggregateTools(work)
	}
	took := time.Since(begun)
	if err == nil && got != want {
		err = fmt.Errorf("the owners have %v bytes, should have %v", got, want)
	}
	return float64(took.Microseconds()) / 1e3, err
}

// makeOwned makes the files and has them stored.
func makeOwned(work string) (want sums, err error) {
	for d := range (aggregateFiles + aggregateEach - 1) / aggregateEach {
		sub := filepath.Join(work, strconv.Itoa(d))
		if err := os.Mkdir(sub, 0o755); err != nil {
			return want, err
		}
		for i := range min(aggregateEach, aggregateFiles-d*aggregateEach) {
			owner, size := (d+i)%(10*aggregateOwners), 1+(d*i)%100
			name := filepath.Join(sub, strconv.Itoa(i))
			err := os.WriteFile(name, page[:size], 0o644)
			if err == nil && owner < aggregateOwners {
				want[owner] += int64(size)
				err = os.Chown(name, firstOwner+owner, 0)
			}
			if err != nil {
				return want, err
			}
		}
	}
	d, err := os.Open(work)
	if err != nil {
		return want, err
	}
	syscall.Sync()
	return want, errors.Join(d.Sync(), d.Close())
}

var inodes = table.Declare[file.InodeRow]("os.inodes")

// aggregateTable reads the system's table of inodes.
func aggregateTable() (got sums, err error) {
	ctx := context.Background()
	s, err := store.OpenHere(ctx, store.Options{}, inodes)
	if err != nil {
		return got, err
	}
	return got, s.View(ctx, func(tx *table.Tx) error {
		got = sums{}
		for row, err := range inodes.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			owner := int(row.UID) - firstOwner
			if row.Mode&syscall.S_IFMT == syscall.S_IFREG && owner >= 0 && owner < len(got) {
				got[owner] += row.Size
			}
		}
		return nil
	})
}

// aggregateTools has find list the files and awk add them up.
func aggregateTools(work string) (got sums, err error) {
	var out bytes.Buffer
	find := exec.Command("/bin/find", work, "-type", "f", "-printf", `%U %s\n`)
	awk := exec.Command("/bin/awk", `{ sum[$1] += $2 } END { for (owner in sum) print owner, sum[owner] }`)
	find.Stderr, awk.Stderr, awk.Stdout = os.Stderr, os.Stderr, &out
	if awk.Stdin, err = find.StdoutPipe(); err != nil {
		return got, err
	}
	if err := errors.Join(awk.Start(), find.Run(), awk.Wait()); err != nil {
		return got, err
	}
	for {
		var owner int
		var sum int64
		if _, err := fmt.Fscan(&out, &owner, &sum); err != nil {
			return got, nil // the end
		}
		if owner -= firstOwner; owner >= 0 && owner < len(got) {
			got[owner] = sum
		}
	}
}
