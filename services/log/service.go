package log

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/user"
)

const (
	delay     = 100 * time.Millisecond // of a line below Error, at most
	maxQueue  = 4 << 20                // bytes that wait in memory
	maxWrite  = 1 << 20                // bytes in one transaction
	trimRows  = 2000                   // removed by one transaction
	rowBytes  = 100                    // of a line besides its text, about
	trimAbove = 16                     // a log may be a sixteenth larger than its setting, before it is trimmed
)

// Options say how a log is opened. The zero value is sensible.
type Options struct {
	// Kernel is kernel.LogFrom; nil: there is no kernel to listen to.
	Kernel func(position uint64) (text []byte, next uint64)
	Booted time.Time // when the kernel's clock was zero

	Now    func() time.Time // nil: time.Now
	Failed func(error)      // takes why lines could not be written; nil: nobody
}

// Service is the log of a store. All methods may be called concurrently.
type Service struct {
	store  *store.Store
	config *config.Service
	o      Options
	area   engine.Range

	mu     sync.Mutex
	queue  []Line
	bytes  int           // of queue
	lost   int           // lines, since the last that was written
	wake   chan struct{} // has room for one: there is something to do
	urgent bool
	closed bool
	idle   *sync.Cond // the queue is empty and written, or the service closed
	busy   bool

	ended chan struct{}

	// The writer's own.
	position uint64 // of the next line
	heard    uint64 // position in the kernel's log
}

// Open goes on with the log of a store.
func Open(ctx context.Context, s *store.Store, c *config.Service, o Options) (*Service, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Failed == nil {
		o.Failed = func(error) {}
	}
	l := &Service{store: s, config: c, o: o, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	l.idle = sync.NewCond(&l.mu)
	if err := l.resume(ctx); err != nil {
		return nil, err
	}
	go l.write()
	return l, nil
}

// resume finds where the log ends, and has the engine keep no history of it.
func (s *Service) resume(ctx context.Context) error {
	err := s.store.View(ctx, func(tx *table.Tx) error {
		var err error
		if s.area, err = Lines.Range(tx, table.Span{}); err != nil {
			return err
		}
		s.position, err = endOf(tx)
		return err
	})
	if err != nil {
		return err
	}
	return s.store.Retain(ctx, op("log.Open"), engine.MinRetention, Lines)
}

func op(name string) *engine.Op {
	o := user.Caller{User: user.Root, Program: "log"}.Op(name)
	o.Untold = true
	return o
}

func size(l *Line) uint64 {
	return uint64(rowBytes + len(l.Message) + len(l.Attrs) + len(l.Source) + len(l.User) + len(l.Program) + len(l.Task))
}

func (s *Service) now() time.Time { return s.o.Now() }

// version is the newest of the store, empty if that cannot be told.
func (s *Service) version(ctx context.Context) (v engine.Version) {
	err := s.store.Engine().View(context.WithoutCancel(ctx), "", func(r engine.Reader) error {
		v = r.Version()
		return nil
	})
	if err != nil {
		return ""
	}
	return v
}

// add queues a line.
func (s *Service) add(l Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.bytes >= maxQueue {
		s.lost++
		return
	}
	s.queue = append(s.queue, l)
	s.bytes += int(size(&l))
	if l.Level >= int16(slog.LevelError) || s.bytes >= maxWrite {
		s.urgent = true
	}
	s.signal()
}

// signal wakes the writer. The caller holds mu.
func (s *Service) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Sync returns when what was said before is durable, or could not be written.
func (s *Service) Sync() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.urgent, s.busy = true, true
	s.signal()
	for s.busy && !s.closed {
		s.idle.Wait()
	}
}

// Close writes what waits, and ends. What is said later is lost.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	s.signal()
	s.idle.Broadcast()
	s.mu.Unlock()
	<-s.ended
}

// write is the goroutine of the log.
func (s *Service) write() {
	defer close(s.ended)
	timer := time.NewTimer(delay)
	timer.Stop()
	for {
		<-s.wake
		if s.waits() {
			timer.Reset(delay)
			for waiting := true; waiting; {
				select {
				case <-timer.C:
					waiting = false
				case <-s.wake:
					waiting = s.waits()
				}
			}
			timer.Stop()
		}
		if s.flush() {
			return
		}
	}
}

// waits reports whether what is queued may wait for more.
func (s *Service) waits() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.urgent && !s.closed
}

// flush writes all that is queued. It reports whether the service has ended.
func (s *Service) flush() (end bool) {
	for {
		s.mu.Lock()
		lines, lost := s.queue, s.lost
		closing := s.closed
		s.queue, s.bytes, s.lost, s.urgent = nil, 0, 0, false
		s.mu.Unlock()
		lines = append(lines, s.listen()...)
		if lost > 0 {
			lines = append(lines, Line{At: s.now(), Level: int16(slog.LevelWarn), Source: "log", Attrs: []byte("{}"),
				Message: strconv.Itoa(lost) + " lines were lost: more was said than could be written"})
		}
		if err := s.put(lines); err != nil {
			s.o.Failed(fmt.Errorf("log: %d lines could not be written: %w", len(lines), err))
		} else if err := s.trim(); err != nil {
			s.o.Failed(fmt.Errorf("log: old lines could not be removed: %w", err))
		}
		s.mu.Lock()
		more := len(s.queue) > 0 || s.urgent
		if !more {
			s.busy = false
			s.idle.Broadcast()
		}
		s.mu.Unlock()
		if !more {
			return closing
		}
	}
}

// listen returns the lines that the kernel has said since.
func (s *Service) listen() (lines []Line) {
	if s.o.Kernel == nil {
		return nil
	}
	text, next := s.o.Kernel(s.heard)
	whole := bytes.LastIndexByte(text, '\n') + 1
	s.heard = next - uint64(len(text)-whole)
	for line := range bytes.Lines(text[:whole]) {
		at, message := s.kernelLine(string(bytes.TrimRight(line, "\n")))
		lines = append(lines, Line{At: at, Message: message, Attrs: []byte("{}"), Source: "kernel", User: user.Root})
	}
	return lines
}

// kernelLine takes the time from the head of a line of the kernel: [seconds.milliseconds].
func (s *Service) kernelLine(line string) (at time.Time, message string) {
	if len(line) > 0 && line[0] == '[' {
		if end := bytes.IndexByte([]byte(line), ']'); end > 0 {
			if seconds, err := strconv.ParseFloat(line[1:end], 64); err == nil && seconds >= 0 && seconds < 1<<32 {
				return s.o.Booted.Add(time.Duration(seconds * float64(time.Second))), line[min(end+2, len(line)):]
			}
		}
	}
	return s.now(), line
}

// put adds lines to the table, some at a time.
func (s *Service) put(lines []Line) error {
	for len(lines) > 0 {
		n, bytes := 0, uint64(0)
		for n < len(lines) && bytes < maxWrite {
			bytes += size(&lines[n])
			n++
		}
		_, err := s.store.Update(context.Background(), op("log.Write"), func(tx *table.Tx) error {
			position := s.position
			for i := range lines[:n] {
				lines[i].Position = position
				position += size(&lines[i])
				if err := Lines.Put(tx, &lines[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		s.position += bytes
		lines = lines[n:]
	}
	return nil
}

// trim removes what is too old or too much.
func (s *Service) trim() error {
	limit := uint64(Size.In(s.config))
	oldest := s.now().Add(-Age.In(s.config))
	for {
		first, err := s.first()
		if errors.Is(err, table.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		tooMuch := s.position-min(first.Position, s.position) > limit+limit/trimAbove
		if !tooMuch && !first.At.Before(oldest) {
			return nil
		}
		if err := s.remove(oldest, s.position-min(limit, s.position)); err != nil {
			return err
		}
	}
}

func (s *Service) first() (l Line, err error) {
	err = s.store.View(context.Background(), func(tx *table.Tx) error {
		l, err = Lines.First(tx, table.Span{})
		return err
	})
	return l, err
}

// remove removes some of the first lines: those before a time or a position.
func (s *Service) remove(oldest time.Time, position uint64) error {
	o := op("log.Trim")
	o.NoWait = true
	_, err := s.store.Update(context.Background(), o, func(tx *table.Tx) error {
		var last Line
		n := 0
		for l, err := range Lines.Scan(tx, table.Span{}.Limit(trimRows)) {
			if err != nil {
				return err
			}
			if n > 0 && !l.At.Before(oldest) && l.Position >= position {
				break
			}
			last = l
			n++
		}
		_, err := Lines.DeleteRange(tx, table.Through(last.Position))
		return err
	})
	return err
}
