package main

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
)

const (
	openedRows  = 1_000_000
	openedFew   = 1_000
	openedBatch = 10_000 // rows of a transaction
	openings    = 5      // the fastest counts: others begin while Pebble still compacts
)

// opening measures, in milliseconds, how long a store takes to open that has so many rows
// and was closed.
func opening(rows uint64) measurement {
	return func(ctx context.Context) (ms float64, err error) {
		volume := vfs.NewMem()
		o := embedded.Options{Memory: storeMemory}
		e, err := embedded.Open(volume, "store", o)
		if err != nil {
			return 0, err
		}
		err = errors.Join(fillKeys(ctx, e, rows), e.Compact(ctx), e.Close())
		for range openings {
			if err != nil {
				return 0, err
			}
			begun := time.Now()
			e, err = embedded.Open(volume, "store", o)
			took := microseconds(time.Since(begun)) / 1e3
			if ms == 0 || took < ms {
				ms = took
			}
			if err == nil {
				err = e.Close()
			}
		}
		return ms, err
	}
}

// fillKeys writes rows of a hundred bytes.
func fillKeys(ctx context.Context, e engine.Engine, rows uint64) error {
	value := make([]byte, 100)
	for first := uint64(0); first < rows; first += openedBatch {
		_, err := e.Update(ctx, op("fill"), func(tx engine.Tx) error {
			for n := first; n < min(first+openedBatch, rows); n++ {
				if err := tx.Put(binary.BigEndian.AppendUint64(nil, n), value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
