package backup

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Write copies the store to w: all of it as of now, or with from, a version that
// an earlier backup ended with, what has happened since. progress, which may be
// nil, is called now and then.
//
// Errors: those of w, of reading, ctx's, and engine.ErrTooOld if the store does
// not keep what happened since from: make a full backup then. What was written
// before an error is not a backup and is refused by Load.
func Write(ctx context.Context, e engine.Engine, w io.Writer, from engine.Version, progress func(Summary)) (Summary, error) {
	f, err := newFrames(w)
	if err != nil {
		return Summary{}, err
	}
	b := &writer{frames: f, progress: progress}
	var to engine.Version // the newest
	if l, ok := e.(engine.Loader); ok {
		if to, err = l.Settled(); err != nil {
			return Summary{}, fmt.Errorf("backup: %w", err)
		}
	}
	err = e.View(ctx, to, func(r engine.Reader) error {
		b.done.Head = Head{From: from, To: r.Version(), Time: time.Now().Truncate(time.Microsecond)}
		if err := f.write(frameHead, b.done.encode()); err != nil {
			return err
		}
		if from == "" {
			return b.scan(ctx, r, engine.All)
		}
		return b.changes(ctx, r, from)
	})
	if err == nil {
		err = b.end()
	}
	if err != nil {
		return Summary{}, fmt.Errorf("backup: %w", err)
	}
	return b.done, nil
}

type writer struct {
	frames   *frames
	block    []byte
	done     Summary
	progress func(Summary)
}

// scan writes the keys of rng.
func (b *writer) scan(ctx context.Context, r engine.Reader, rng engine.Range) error {
	c := r.Scan(rng, engine.ScanOptions{})
	for c.Next() {
		if err := b.add(ctx, record{kind: recordPut, key: c.Key(), value: c.Value()}); err != nil {
			return errors.Join(err, c.Close())
		}
	}
	return errors.Join(c.Err(), c.Close())
}

// changes writes what happened later than from. A restore is written as what it
// brought about: the range emptied, and filled with what was in it.
func (b *writer) changes(ctx context.Context, r engine.Reader, from engine.Version) error {
	for row, err := range r.Changes(engine.All, from) {
		switch {
		case err != nil:
		case row.Restore != nil:
			err = b.restore(ctx, r, row)
		case row.Deleted:
			err = b.add(ctx, record{kind: recordDelete, key: row.Key})
		default:
			err = b.add(ctx, record{kind: recordPut, key: row.Key, value: row.Value})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *writer) restore(ctx context.Context, r engine.Reader, row engine.Row) error {
	rng := *row.Restore
	err := b.add(ctx, record{kind: recordDeleteRange, key: rng.Low, value: rng.High})
	if err != nil {
		return err
	}
	past, err := r.At(row.To)
	if err != nil {
		return err
	}
	return b.scan(ctx, past, rng)
}

func (b *writer) add(ctx context.Context, r record) error {
	if bytes.Equal(r.key, mark) && r.kind != recordDeleteRange {
		return nil // about this store, not its state
	}
	b.block = r.appendTo(b.block)
	b.done.Records++
	b.done.Bytes += int64(len(r.key) + len(r.value))
	if len(b.block) < blockSize {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.flush()
}

func (b *writer) flush() error {
	if len(b.block) == 0 {
		return nil
	}
	err := b.frames.write(frameData, b.block)
	b.block = b.block[:0]
	if b.progress != nil {
		b.progress(b.done)
	}
	return err
}

func (b *writer) end() error {
	if err := b.flush(); err != nil {
		return err
	}
	end := binary.AppendUvarint(nil, uint64(b.done.Records))
	return b.frames.write(frameEnd, binary.AppendUvarint(end, uint64(b.done.Bytes)))
}
