package task

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
)

// lanes knows where tasks may be ready, so that a procedure need not look into
// queues that are empty. A lane is what is ready of one queue and priority.
//
// What it says is a hint, good in one direction: no lane is missing that has
// tasks, and no head lies behind the lane's first task. Who makes a task ready
// lowers the head at once, within the transaction, and if that comes to nothing no
// harm is done. A head is raised only by the leader of a procedure, from what it
// reads there; if that procedure fails, or is run again, all heads are in doubt
// and read anew. So a task that others make ready in procedures is never passed
// over; changes by other means (SQL, a restore) are told by a Watch.
type lanes struct {
	mu       sync.Mutex
	all      map[laneKey]*lane
	doubtful bool
}

type laneKey struct {
	queue    string
	priority int8
}

type lane struct {
	laneKey
	due     int64  // head: microseconds since 1970
	id      uint64 // and the task
	lowered uint64 // counts

	// What a procedure has read of it.
	procedure uint64 // its number
	rows      []entry
	at        int  // the next of rows
	fresh     bool // it is not in the table: its tasks are new
	more      bool
}

// entry is a task that is ready, with its row if the policy looks at that.
type entry struct {
	due  int64
	id   uint64
	task *Task
}

const firstRead = 8 // entries; each later read of the same lane has twice as many

func (ls *lanes) init() {
	ls.all = map[laneKey]*lane{}
	ls.doubtful = true
}

// doubt has the next procedure read all heads.
func (ls *lanes) doubt() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.doubtful = true
}

// lower says that a task is, or may be, ready.
func (ls *lanes) lower(queue string, priority int8, due time.Time, id uint64) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.lowerTo(laneKey{queue, priority}, due.UnixMicro(), id)
}

func (ls *lanes) lowerTo(k laneKey, due int64, id uint64) {
	l := ls.all[k]
	if l == nil {
		l = &lane{laneKey: k, due: due, id: id}
		ls.all[k] = l
	}
	l.lowered++
	if due < l.due || due == l.due && id < l.id {
		l.due, l.id = due, id
	}
}

// list returns the lanes, after reading their heads if they are in doubt.
func (ls *lanes) list(tx *table.Tx) ([]*lane, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.doubtful {
		clear(ls.all)
		if err := heads(tx, func(r Ready) { ls.lowerTo(laneKey{r.Queue, r.Priority}, r.Due.UnixMicro(), r.Task) }); err != nil {
			return nil, err
		}
		ls.doubtful = false
	}
	out := make([]*lane, 0, len(ls.all))
	for _, l := range ls.all {
		out = append(out, l)
	}
	return out, nil
}

// heads calls each for the first entry of every lane, in the order of the table.
func heads(tx *table.Tx, each func(Ready)) error {
	for span := (table.Span{}); ; {
		r, err := Readies.First(tx, span)
		if errors.Is(err, table.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		each(r)
		span = table.After(r.Queue, r.Priority)
	}
}

// headsOf calls each for the first entry of every lane of a queue.
func headsOf(tx *table.Tx, queue string, each func(Ready)) error {
	for span := table.Prefix(queue); ; {
		r, err := Readies.First(tx, span)
		if errors.Is(err, table.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		each(r)
		span = table.After(queue, r.Priority).Through(queue)
	}
}

// freshLanes makes lanes of new tasks that are not written yet.
func (p *proc) freshLanes() []*lane {
	of := map[laneKey]*lane{}
	var out []*lane
	for _, t := range p.fresh {
		k := laneKey{t.Queue, t.Priority}
		l := of[k]
		if l == nil {
			l = &lane{laneKey: k, procedure: p.number, fresh: true}
			of[k] = l
			out = append(out, l)
		}
		l.rows = append(l.rows, entry{due: t.Due.UnixMicro(), id: t.ID, task: t})
	}
	for _, l := range out {
		slices.SortFunc(l.rows, func(x, y entry) int { return cmp.Or(cmp.Compare(x.due, y.due), cmp.Compare(x.id, y.id)) })
		l.due, l.id = l.rows[0].due, l.rows[0].id
	}
	return out
}

// open reads the first tasks of a lane and corrects its head. It reports false if
// there are none.
func (ls *lanes) open(p *proc, l *lane, atOnce int) (bool, error) {
	l.procedure, l.at = p.number, 0
	l.rows = l.rows[:0]
	if err := l.read(p, table.From(l.queue, l.priority, time.UnixMicro(l.due), l.id), atOnce); err != nil {
		l.procedure = 0
		return false, err
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if len(l.rows) == 0 {
		delete(ls.all, l.laneKey)
		return false, nil
	}
	l.due, l.id = l.rows[0].due, l.rows[0].id
	return true, nil
}

// read appends entries of a span.
func (l *lane) read(p *proc, from table.Span, n int) error {
	before := len(l.rows)
	for r, err := range Readies.Scan(p.tx, from.Through(l.queue, l.priority).Limit(n)) {
		if err != nil {
			return err
		}
		l.rows = append(l.rows, entry{due: r.Due.UnixMicro(), id: r.Task})
	}
	l.more = len(l.rows)-before == n
	return nil
}

// next returns the lane's next task in this procedure.
func (l *lane) next(p *proc) (entry, bool, error) {
	if l.at == len(l.rows) && l.more {
		last := l.rows[len(l.rows)-1]
		if err := l.read(p, table.After(l.queue, l.priority, time.UnixMicro(last.due), last.id), 2*len(l.rows)); err != nil {
			return entry{}, false, err
		}
	}
	if l.at == len(l.rows) {
		return entry{}, false, nil
	}
	return l.rows[l.at], true, nil
}
