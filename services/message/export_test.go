package message

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tuplix/tuplix/dbms/table"
)

// CheckMemory compares what the service has in memory with the tables.
func (s *Service) CheckMemory(ctx context.Context) error {
	_, err := s.store.Update(ctx, nil, func(tx *table.Tx) error { // nobody commits meanwhile
		s.mu.Lock()
		defer s.mu.Unlock()
		var errs []error
		for name, d := range s.desks {
			if err := d.check(tx, name); err != nil {
				errs = append(errs, fmt.Errorf("mailbox %q: %w", name, err))
			}
		}
		for name, f := range s.feeds {
			if err := f.check(tx, name); err != nil {
				errs = append(errs, fmt.Errorf("topic %q: %w", name, err))
			}
		}
		return errors.Join(errs...)
	})
	return err
}

func (d *desk) check(tx *table.Tx, name string) error {
	if d.box != nil {
		if m, err := Mailboxes.Get(tx, name); err != nil || m != *d.box {
			return fmt.Errorf("the row is %+v, %w; known is %+v", m, err, *d.box)
		}
	}
	if d.count != nil {
		if c, err := Counts.Get(tx, name); err != nil || c != *d.count {
			return fmt.Errorf("the counts are %+v, %w; known are %+v", c, err, *d.count)
		}
	}
	there := map[uint64]bool{}
	for x, err := range Messages.Scan(tx, table.Prefix(name)) {
		if err != nil {
			return err
		}
		there[x.Number] = true
		if d.numbered && x.Number > d.last {
			return fmt.Errorf("the last number is %d, known is %d", x.Number, d.last)
		}
		if d.known && x.State == Ready && x.Number <= d.through && !slices.Contains(d.ready, x.Number) {
			return fmt.Errorf("message %d is ready, known are %d through %d", x.Number, d.ready, d.through)
		}
	}
	if !d.known {
		return nil
	}
	for i, n := range d.ready {
		if !there[n] || n > d.through || i > 0 && d.ready[i-1] >= n {
			return fmt.Errorf("message %d of %d through %d is not there, or out of order", n, d.ready, d.through)
		}
	}
	first, err := due.First(tx, table.Prefix(name))
	if err == nil && first.Due.UnixMicro() < d.due {
		return fmt.Errorf("message %d is due at %v, known is %d", first.Number, first.Due, d.due)
	}
	if errors.Is(err, table.ErrNotFound) {
		err = nil
	}
	return err
}

func (f *feed) check(tx *table.Tx, name string) error {
	newest := uint64(0)
	for x, err := range Publications.Scan(tx, table.Prefix(name)) {
		if err != nil {
			return err
		}
		newest = x.Offset
		if rows := f.from(x.Offset); rows != nil && rows[0].Offset != x.Offset {
			return fmt.Errorf("message %d is not known, but %d and %d are", x.Offset, f.rows[0].Offset, rows[0].Offset)
		}
	}
	if f.known && newest > f.newest {
		return fmt.Errorf("the newest message is %d, known is %d", newest, f.newest)
	}
	if n := len(f.rows); n > 0 && f.rows[n-1].Offset > newest {
		return fmt.Errorf("the newest message is %d, in memory is %d", newest, f.rows[n-1].Offset)
	}
	return nil
}
