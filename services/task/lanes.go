package task

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
)

// lanes knows where tasks may be ready, so that a procedure need not look into
// queues that are empty. A lane is what is ready of one queue and priority.
//
// What it says is a hint, good in one direction: no lane is missing that has
// tasks, and none of its tasks lies before what the lane says. Who makes a task
// ready tells so at once, within the transaction, and if that comes to nothing no
// harm is done. That tasks are gone is noted only by the leader of a procedure,
// from what it reads and takes; if that procedure fails, or is run again, all is
// in doubt and read anew. So a task that others make ready in procedures is never
// passed over; changes by other means (SQL, a restore) are told by a Watch.
type lanes struct {
	mu       sync.Mutex
	all      map[laneKey]*lane // and some that have no tasks any more
	queue    laneQueue         // those that may have tasks
	doubtful bool
}

type laneKey struct {
	queue    string
	priority int8
}

type lane struct {
	laneKey
	due int64  // head, where nothing has been read: microseconds since 1970
	id  uint64 // and the task

	// What has been read of it and not taken yet. A task that has been canceled
	// since may still be among them.
	rows  []entry
	at    int  // the next of rows
	more  bool // there may be tasks behind them
	moved int  // counts how often the head was lowered
	fresh bool // it is not in the table: its tasks are new
	aside bool // nobody may take its tasks in this procedure

	// While a procedure looks at all that has been read, it stays as it is.
	open  bool
	later []entry // to what it is to be lowered then

	place int // in lanes.queue, -1: nowhere
}

// entry is a task that is ready, with its row if the policy looks at that.
type entry struct {
	due  int64
	id   uint64
	task *Task
}

const (
	firstRead = 8    // entries that are read at least
	mostRead  = 128  // and at most
	mostKept  = 1024 // new ones of a lane that are kept without reading

	// mostTries is how often a lane is read that others lower meanwhile. Whoever
	// lowers it has it looked at again, so nothing is lost where that is too few.
	mostTries = 10
)

func (ls *lanes) init() {
	ls.all = map[laneKey]*lane{}
	ls.doubtful = true
}

// Lanes without tasks.
const (
	mostEmpty = 4096 // are kept, besides as many as have some
	mostLarge = 64   // may keep the memory of the tasks that they had
)

// doubt has the next procedure read all heads.
func (ls *lanes) doubt() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.doubtful = true
}

// doubt has the next procedure read what the service knows of the tables.
func (s *Service) doubt() {
	s.lanes.doubt()
	s.settings.forget()
}

// lower says that a task is, or may be, ready.
func (ls *lanes) lower(queue string, priority int8, due time.Time, id uint64) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.lowerTo(laneKey{queue, priority}, due.UnixMicro(), id)
}

// add is lower for the leader of a procedure, which is what takes tasks: if the lane
// is known to its end, the task need not be read. Should the procedure fail, all is
// in doubt.
func (ls *lanes) add(queue string, priority int8, due time.Time, id uint64) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	k, e := laneKey{queue, priority}, entry{due: due.UnixMicro(), id: id}
	l := ls.all[k]
	switch {
	case l == nil && !ls.doubtful: // no lane is missing that has tasks
		l = ls.enter(k, e.due, e.id)
	case l == nil, l.more, len(l.rows)-l.at >= mostKept:
		ls.lowerTo(k, e.due, e.id)
		return
	case l.at == len(l.rows):
		l.rows, l.at = l.rows[:0], 0
	default:
		if last := l.rows[len(l.rows)-1]; !before(last.due, last.id, e) {
			ls.lowerTo(k, e.due, e.id)
			return
		}
	}
	l.rows = append(l.rows, e)
	l.moved++
	if len(l.rows)-l.at == 1 {
		ls.put(l)
	}
}

func (ls *lanes) lowerTo(k laneKey, due int64, id uint64) {
	l := ls.all[k]
	if l == nil {
		l = ls.enter(k, due, id)
	}
	if l.open {
		l.later = append(l.later, entry{due: due, id: id})
		return
	}
	defer ls.put(l)
	l.more = true
	l.moved++
	if n := len(l.rows); n > 0 && !before(l.rows[n-1].due, l.rows[n-1].id, entry{due: due, id: id}) {
		// It lies among those that have been read: they are read again, from the
		// first that was not taken.
		l.due, l.id = l.rows[n-1].due, l.rows[n-1].id
		if l.at < n {
			l.due, l.id = l.rows[l.at].due, l.rows[l.at].id
		}
		l.rows, l.at = l.rows[:0], 0
	}
	if len(l.rows) == 0 && before(due, id, entry{due: l.due, id: l.id}) {
		l.due, l.id = due, id
	}
}

func before(due int64, id uint64, e entry) bool { return due < e.due || due == e.due && id < e.id }

// enter adds a lane that begins at a task.
func (ls *lanes) enter(k laneKey, due int64, id uint64) *lane {
	l := &lane{laneKey: k, due: due, id: id, place: -1}
	ls.all[k] = l
	return l
}

// put brings a lane to its place in the queue, after its head has changed.
func (ls *lanes) put(l *lane) {
	if l.fresh {
		return
	}
	there := !l.aside && (l.at < len(l.rows) || l.more)
	switch {
	case there:
		ls.queue.put(l)
	case l.place >= 0:
		ls.queue.remove(l)
		if !l.aside && len(ls.all) > mostLarge {
			l.rows, l.at = nil, 0
		}
	}
}

// look reads the heads of all lanes if they are in doubt, and brings the lanes into the
// order of a policy. It returns how many there are with tasks.
func (ls *lanes) look(tx *table.Tx, pol *policy) (int, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.doubtful {
		clear(ls.all)
		clear(ls.queue.list)
		ls.queue.list = ls.queue.list[:0]
		if err := heads(tx, func(r Ready) { ls.lowerTo(laneKey{r.Queue, r.Priority}, r.Due.UnixMicro(), r.Task) }); err != nil {
			return 0, err
		}
		ls.doubtful = false
	}
	n := len(ls.queue.list)
	if len(ls.all) > 2*n+mostEmpty {
		maps.DeleteFunc(ls.all, func(_ laneKey, l *lane) bool { return l.place < 0 })
	}
	if ls.queue.policy == nil || ls.queue.policy.text != pol.text {
		ls.queue.order(pol)
	}
	return n, nil
}

// list returns the lanes that may have tasks.
func (ls *lanes) list() []*lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	out := make([]*lane, len(ls.queue.list))
	for i := range out {
		out[i] = ls.queue.list[i].lane
	}
	return out
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
			l = &lane{laneKey: k, fresh: true}
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

// next returns the lane's next task, or reports that there is none. Where it has to
// read, it reads as many as are wanted.
func (ls *lanes) next(tx *table.Tx, l *lane, want int) (entry, bool, error) {
	e, ok, more := ls.peek(l)
	for try := 0; more && try < mostTries; try++ {
		if err := ls.read(tx, l, min(max(want, firstRead), mostRead)); err != nil {
			return entry{}, false, err
		}
		e, ok, more = ls.peek(l)
	}
	return e, ok, nil
}

// peek returns the next task of those that have been read, or whether to read on.
func (ls *lanes) peek(l *lane) (e entry, ok, more bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l.at < len(l.rows) {
		return l.rows[l.at], true, false
	}
	return entry{}, false, l.more
}

// guesses calls each for lanes, with their heads as far as they are known.
func (ls *lanes) guesses(list []*lane, each func(*lane, entry)) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range list {
		each(l, l.head())
	}
}

// taken goes behind a task that was the next.
func (ls *lanes) taken(l *lane, e entry) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l.at < len(l.rows) && l.rows[l.at] == e {
		l.at++
		ls.put(l)
	}
}

// read reads on where the lane has been read to: up to n tasks.
func (ls *lanes) read(tx *table.Tx, l *lane, n int) error {
	ls.mu.Lock()
	from := table.From(l.queue, l.priority, time.UnixMicro(l.due), l.id)
	if k := len(l.rows); k > 0 {
		from = table.After(l.queue, l.priority, time.UnixMicro(l.rows[k-1].due), l.rows[k-1].id)
	}
	moved := l.moved
	ls.mu.Unlock()
	rows := make([]entry, 0, n)
	for r, err := range Readies.Scan(tx, from.Through(l.queue, l.priority).Limit(n)) {
		if err != nil {
			return err
		}
		rows = append(rows, entry{due: r.Due.UnixMicro(), id: r.Task})
	}
	if err := prefetch(tx, rows); err != nil {
		return err
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l.moved != moved {
		return nil // somebody has lowered it meanwhile: what was read may not be the next
	}
	if len(rows) > 0 || len(l.rows) == 0 { // else the last is kept: it is where to read on
		l.rows, l.at = rows, 0
	}
	l.more = len(rows) == n
	ls.put(l)
	return nil
}

// prefetch reads the rows of tasks that lie close together, as those do that have
// waited for long: the transaction then has them, and each need not be sought.
func prefetch(tx *table.Tx, rows []entry) error {
	if len(rows) < firstRead*2 {
		return nil
	}
	low, high := rows[0].id, rows[0].id
	for _, r := range rows {
		low, high = min(low, r.id), max(high, r.id)
	}
	if high-low >= uint64(2*len(rows)) {
		return nil
	}
	for _, err := range Tasks.Scan(tx, table.From(low).Through(high).Limit(mostRead)) {
		if err != nil {
			return err
		}
	}
	return nil
}

// again has a lane read from its first task that was not taken. If there is none, more
// says whether there may be others behind those that were read.
func (ls *lanes) again(l *lane, more bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l.at < len(l.rows) {
		l.due, l.id = l.rows[l.at].due, l.rows[l.at].id
		l.rows, l.at = l.rows[:0], 0
		more = true
	}
	l.more = l.more || more
	later := l.later
	l.open, l.later = false, nil
	for _, e := range later {
		ls.lowerTo(l.laneKey, e.due, e.id)
	}
	ls.put(l)
}

// window reads the first tasks of a lane, and returns whether there may be more. Only
// those are in the lane then.
func (ls *lanes) window(tx *table.Tx, l *lane, n int) (more bool, err error) {
	ls.again(l, true)
	if err := ls.read(tx, l, n); err != nil {
		return false, err
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	more, l.more, l.open = l.more, false, true
	return more, nil
}

// know notes the row of one of the tasks that were read.
func (ls *lanes) know(l *lane, i int, t *Task) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.rows[i].task = t
}

// bring has one of the tasks that were read be the next. The others stay in their
// order: from the first of them on the lane is read again.
func (ls *lanes) bring(l *lane, i int) entry {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	e := l.rows[i]
	copy(l.rows[l.at+1:i+1], l.rows[l.at:i])
	l.rows[l.at] = e
	return e
}
