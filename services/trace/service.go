package trace

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/user"
)

const (
	delay     = 200 * time.Millisecond // from the end of a span to its row, at most
	maxQueue  = 10_000                 // spans that wait in memory
	maxWrite  = 1000                   // in one transaction
	maxTrim   = 2000                   // removed by one transaction
	trimEvery = time.Minute            // and when as many were written as are trimmed at once
)

// Options say how spans are kept. The zero value is sensible.
type Options struct {
	Now    func() time.Time // nil: time.Now
	Failed func(error)      // takes why spans are lost; nil: nobody
}

// Service keeps spans. All methods may be called concurrently.
type Service struct {
	store  *store.Store
	config *config.Service
	o      Options

	mu     sync.Mutex
	queue  []Row
	lost   int
	wake   chan struct{} // has room for one
	closed bool
	ended  chan struct{}

	// The writer's own.
	export  *exporter
	count   int64 // rows of the table
	trimmed time.Time
}

// Open goes on with the spans of a store, until Close.
func Open(ctx context.Context, s *store.Store, c *config.Service, o Options) (*Service, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	x := &Service{store: s, config: c, o: o, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	err := s.View(ctx, func(tx *table.Tx) error {
		for _, err := range Spans.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			x.count++
		}
		return nil
	})
	if err == nil {
		err = s.Retain(ctx, op("trace.Open"), engine.MinRetention, Spans)
	}
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	x.export = newExporter(x)
	go x.write()
	return x, nil
}

func op(name string) *engine.Op {
	o := user.Caller{User: user.Root, Program: "trace"}.Op(name)
	o.NoWait, o.Untold = true, true
	return o
}

// Close writes what has ended, and sends what a collector takes within some seconds.
// Spans that end later are lost.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	s.signal()
	s.mu.Unlock()
	<-s.ended
	s.export.close()
}

// add queues a span that has ended.
func (s *Service) add(r Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.queue) >= maxQueue {
		s.lost++
		return
	}
	s.queue = append(s.queue, r)
	s.signal()
}

// signal wakes the writer. The caller holds mu.
func (s *Service) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// write is the goroutine that writes rows.
func (s *Service) write() {
	defer close(s.ended)
	for {
		<-s.wake
		if !s.closing() {
			wait := time.NewTimer(delay)
			for waiting := true; waiting; {
				select {
				case <-wait.C:
					waiting = false
				case <-s.wake:
					waiting = !s.closing()
				}
			}
			wait.Stop()
		}
		end := s.closing()
		if err := s.flush(); err != nil {
			s.o.Failed(fmt.Errorf("trace: %w", err))
		}
		if end {
			return
		}
	}
}

func (s *Service) closing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// flush writes what is queued. What cannot be written is lost.
func (s *Service) flush() error {
	s.mu.Lock()
	rows, lost := s.queue, s.lost
	s.queue, s.lost = nil, 0
	s.mu.Unlock()
	if lost > 0 {
		s.o.Failed(fmt.Errorf("trace: %d spans are lost, as more ended than could be written", lost))
	}
	for len(rows) > 0 {
		part := rows[:min(len(rows), maxWrite)]
		rows = rows[len(part):]
		_, err := s.store.Update(context.Background(), op("trace.Write"), func(tx *table.Tx) error {
			for i := range part {
				if err := Spans.Put(tx, &part[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		s.count += int64(len(part))
		s.export.send(part)
	}
	return s.trim()
}

// trim removes what is too old or too much.
func (s *Service) trim() error {
	now := s.o.Now()
	if s.count <= Most.In(s.config)+maxTrim && now.Sub(s.trimmed) < trimEvery {
		return nil
	}
	s.trimmed = now
	oldest := now.Add(-Age.In(s.config))
	for {
		over := s.count - Most.In(s.config)
		var gone []Row
		_, err := s.store.Update(context.Background(), op("trace.Trim"), func(tx *table.Tx) error {
			gone = gone[:0] // a procedure may be run again
			for r, err := range ByStart.Scan(tx, table.Span{}.Limit(maxTrim)) {
				if err != nil {
					return err
				}
				if int64(len(gone)) >= over && !r.Start.Before(oldest) {
					break
				}
				gone = append(gone, r)
			}
			for _, r := range gone {
				if err := Spans.Delete(tx, r.Trace, r.Span); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		s.count -= int64(len(gone))
		if len(gone) < maxTrim {
			return nil
		}
	}
}
