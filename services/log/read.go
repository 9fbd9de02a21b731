package log

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// Query says which lines are read.
type Query struct {
	From, To time.Time  // zero: from the first, to the last
	Least    slog.Level // of level and above; zero is Info
	Program  string     // "": of any
	Task     string     // "": of any
	Last     int        // only so many of the last that match; 0: all
	Follow   bool       // goes on with what is said later, until ctx ends
}

// Read returns lines in the order of time; those that are said while it follows,
// in the order in which they were written. It ends with ctx's error, if that ended
// it, and needs the right to read the table.
func (s *Service) Read(ctx context.Context, q Query) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		s.Sync()
		var at engine.Version // that was read
		var end uint64        // the position after the last line then
		more := true
		err := s.view(ctx, func(tx *table.Tx) (err error) {
			at = tx.Version()
			if end, err = endOf(tx); err != nil || q.Last > 0 {
				return err
			}
			return each(byTime.Scan(tx, q.span()), &q, yield, &more)
		})
		if err == nil && q.Last > 0 {
			err = s.readLast(ctx, &q, at, yield, &more)
		}
		for err == nil && more && q.Follow {
			if _, err = s.store.Engine().Watch(ctx, at, s.area); err != nil {
				break
			}
			err = s.view(ctx, func(tx *table.Tx) (err error) {
				at = tx.Version()
				from := end
				if end, err = endOf(tx); err != nil {
					return err
				}
				return each(Lines.Scan(tx, table.From(from).To(end)), &q, yield, &more)
			})
		}
		if err != nil {
			yield(Line{}, err)
		}
	}
}

// endOf is the position after the last line.
func endOf(tx *table.Tx) (uint64, error) {
	last, err := Lines.First(tx, table.Span{}.Reverse())
	if errors.Is(err, table.ErrNotFound) {
		return 0, nil
	}
	return last.Position + size(&last), err
}

// each yields the lines that match; more becomes false when the loop over them has
// ended.
func each(lines iter.Seq2[Line, error], q *Query, yield func(Line, error) bool, more *bool) error {
	for l, err := range lines {
		if err != nil {
			return err
		}
		if q.matches(&l) && !yield(l, nil) {
			*more = false
			return nil
		}
	}
	return nil
}

// readLast yields the last lines that match, at a version.
func (s *Service) readLast(ctx context.Context, q *Query, at engine.Version, yield func(Line, error) bool, more *bool) error {
	var found []Line
	err := s.store.ViewAt(ctx, at, func(tx *table.Tx) error {
		keep := func(l Line, _ error) bool {
			found = append(found, l)
			return len(found) < q.Last
		}
		var full bool
		return each(byTime.Scan(tx, q.span().Reverse()), q, keep, &full)
	})
	for i := len(found) - 1; i >= 0 && err == nil && *more; i-- {
		*more = yield(found[i], nil)
	}
	return err
}

// span is the time that is asked for.
func (q *Query) span() table.Span {
	span := table.Span{}
	if !q.From.IsZero() {
		span = table.From(q.From)
	}
	if !q.To.IsZero() {
		span = span.To(q.To)
	}
	return span
}

func (q *Query) matches(l *Line) bool {
	return l.Level >= clampLevel(q.Least) && (q.Program == "" || l.Program == q.Program) && (q.Task == "" || l.Task == q.Task)
}

// view reads if the caller may.
func (s *Service) view(ctx context.Context, fn func(tx *table.Tx) error) error {
	return s.store.View(ctx, func(tx *table.Tx) error {
		err := user.Check(tx, user.From(ctx), user.Read, user.Object{Kind: user.KindTable, Name: Lines.Name()})
		if err != nil {
			return err
		}
		return fn(tx)
	})
}
