package message

import (
	"context"
	"slices"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/dbms/table/key"
)

// feed is the messages of a topic that were read last: they are read once, for all
// readers. The service's mutex guards it. What it knows it is told by the engine, as
// a desk is.
type feed struct {
	rows  []Publication // all that there are from the first to the last; they do not change
	bytes int           // of their bodies and keys

	known  bool   // newest is right
	newest uint64 // offset

	changes uint64 // counts what may be news for readers
	drops   uint64 // counts messages that have gone
	filling bool   // somebody reads for all
	queue   queue
	called  bool // it is in Service.calledFeeds
	used    bool // lately
}

const (
	fetchAtOnce = 64 // messages of a topic that are read in one go
	feedRows    = 512
	feedBytes   = 256 << 10
	idleFeeds   = 32 // feeds that are kept though nobody waits for them
)

// feedOf returns the feed of a topic. The mutex is held.
func (s *Service) feedOf(topic string) *feed {
	f := s.feeds[topic]
	if f == nil {
		s.sweepFeeds()
		f = new(feed)
		s.feeds[topic] = f
	}
	f.used = true
	return f
}

// sweepFeeds drops some that nobody needs, once there are many.
func (s *Service) sweepFeeds() {
	if len(s.feeds) < s.mostFeeds {
		return
	}
	for name, f := range s.feeds {
		if f.queue.first == nil && !f.called && !f.filling && !f.used {
			delete(s.feeds, name)
		}
		f.used = false
	}
	s.mostFeeds = 2*len(s.feeds) + idleFeeds
}

func (s *Service) callFeed(f *feed) {
	f.changes++
	if f.queue.first != nil && !f.called {
		f.called = true
		s.calledFeeds = append(s.calledFeeds, f)
	}
}

// published follows a message of a topic.
func (s *Service) published(k []byte, deleted bool) {
	topic, n, err := key.Text(s.scratch[:0], k)
	s.scratch = topic
	offset := uint64(0)
	if err == nil {
		offset, _, err = key.Uint(k[n:])
	}
	f := s.feeds[string(topic)]
	switch {
	case err != nil:
		s.doubt()
	case f == nil:
	case deleted:
		f.drop(offset)
	default:
		f.put(offset)
		s.callFeed(f)
	}
}

// forget has the tables be asked.
func (f *feed) forget() {
	f.rows, f.bytes, f.known = nil, 0, false
	f.drops++
}

// put notes a new message.
func (f *feed) put(offset uint64) {
	if rows := f.from(offset); rows != nil && rows[0].Offset == offset {
		return // a view has seen it a moment before
	}
	if n := len(f.rows); f.known && offset <= f.newest || n > 0 && offset <= f.rows[n-1].Offset {
		f.forget() // that is not how topics grow
		return
	}
	f.newest = offset
}

// drop notes that a message has gone, usually the oldest.
func (f *feed) drop(offset uint64) {
	f.drops++
	for len(f.rows) > 0 && f.rows[0].Offset <= offset {
		f.shift()
	}
	if f.known && offset == f.newest {
		f.known = false
	}
}

func (f *feed) shift() {
	f.bytes -= f.rows[0].size()
	f.rows = f.rows[1:]
}

func (p *Publication) size() int { return len(p.Body) + len(p.Key) }

// from returns the messages from an offset on, if the first of them is known. They are
// not to be changed.
func (f *feed) from(offset uint64) []Publication {
	n := len(f.rows)
	if n == 0 || offset < f.rows[0].Offset || offset > f.rows[n-1].Offset {
		return nil
	}
	i, _ := slices.BinarySearchFunc(f.rows, offset, func(p Publication, o uint64) int {
		if p.Offset < o {
			return -1
		}
		return int(min(p.Offset-o, 1))
	})
	return f.rows[i:n:n]
}

// empty reports that there is nothing from an offset on.
func (f *feed) empty(offset uint64) bool { return f.known && f.newest < offset }

// add takes in what was read from an offset on: all that there is, if that are less
// than fetchAtOnce.
func (f *feed) add(offset uint64, rows []Publication) {
	if n := len(f.rows); n > 0 && f.rows[n-1].Offset+1 != offset {
		if offset <= f.rows[n-1].Offset {
			return // an old part, which few want
		}
		f.rows, f.bytes = nil, 0
	}
	f.rows = append(f.rows, rows...)
	for i := range rows {
		f.bytes += rows[i].size()
	}
	for len(f.rows) > feedRows || f.bytes > feedBytes && len(f.rows) > 0 {
		f.shift()
	}
}

// fetch returns the messages from an offset on that are known, after reading them for
// all if nobody does. Without any, it returns the feed and what its changes were.
func (s *Service) fetch(ctx context.Context, topic string, offset uint64) (rows []Publication, f *feed, seen uint64, err error) {
	s.mu.Lock()
	f = s.feedOf(topic)
	rows, seen = f.from(offset), f.changes
	idle := rows != nil || f.filling || f.empty(offset)
	f.filling = f.filling || !idle
	drops := f.drops
	s.mu.Unlock()
	if idle {
		return rows, f, seen, nil
	}
	rows, err = s.read(ctx, topic, offset)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.filling = false
	if err == nil && f.drops == drops {
		f.add(offset, rows)
		if len(rows) < fetchAtOnce && f.changes == seen {
			f.known, f.newest = true, offset-1
			if n := len(rows); n > 0 {
				f.newest = rows[n-1].Offset
			}
		}
	}
	f.changes++ // for those who did not read because of this
	if f.changes == seen+1 {
		seen++
	}
	f.queue.wakeAll()
	return rows, f, seen, err
}

// look is fetch for who does not wait.
func (s *Service) look(ctx context.Context, topic string, offset uint64) ([]Publication, error) {
	s.mu.Lock()
	f := s.feedOf(topic)
	rows, empty := f.from(offset), f.empty(offset)
	s.mu.Unlock()
	if rows != nil || empty {
		return rows, nil
	}
	return s.read(ctx, topic, offset)
}

// awaitFeed waits for news of a topic since those that were seen.
func (s *Service) awaitFeed(ctx context.Context, f *feed, topic string, seen uint64, w *waiter) error {
	s.mu.Lock()
	if s.feeds[topic] != f || f.changes != seen {
		s.mu.Unlock()
		return ctx.Err()
	}
	f.queue.push(w, false)
	return s.await(ctx, &f.queue, w)
}

// read reads messages of a topic from an offset on.
func (s *Service) read(ctx context.Context, topic string, offset uint64) (rows []Publication, err error) {
	err = s.store.View(ctx, func(tx *table.Tx) error {
		for x, err := range Publications.Scan(tx, table.From(topic, offset).Through(topic).Limit(fetchAtOnce)) {
			if err != nil {
				return err
			}
			rows = append(rows, x)
		}
		return nil
	})
	return rows, err
}
