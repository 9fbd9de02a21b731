package task

import "cmp"

// laneQueue is lanes as a heap, the one with the best task first, as far as that can
// be told by what is known of the lanes: a policy that looks at the load of queues or
// at rows of tasks is not followed. So who takes a task need not look at all queues,
// but at one or two. It satisfies heap.Interface; lanes.mu guards it.
type laneQueue struct {
	policy *policy
	list   []*lane
}

// head is the lane's next task, or where tasks can only be behind.
func (l *lane) head() entry {
	switch n := len(l.rows); {
	case l.at < n:
		return l.rows[l.at]
	case n > 0:
		return entry{due: l.rows[n-1].due, id: l.rows[n-1].id}
	}
	return entry{due: l.due, id: l.id}
}

func (q *laneQueue) Len() int { return len(q.list) }

func (q *laneQueue) Less(i, j int) bool {
	x, y := q.list[i], q.list[j]
	a, b := x.head(), y.head()
	return q.compare(x, y, &a, &b) < 0
}

func (q *laneQueue) compare(x, y *lane, a, b *entry) int {
	if q.policy != nil {
		for _, t := range q.policy.terms {
			n := 0
			switch t.column {
			case byPriority:
				n = cmp.Compare(x.priority, y.priority)
			case byDue:
				n = cmp.Compare(a.due, b.due)
			}
			if t.desc {
				n = -n
			}
			if n != 0 {
				return n
			}
		}
	}
	return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.id, b.id))
}

func (q *laneQueue) Swap(i, j int) {
	q.list[i], q.list[j] = q.list[j], q.list[i]
	q.list[i].place, q.list[j].place = i, j
}

// Push adds a lane.
func (q *laneQueue) Push(x any) {
	l := x.(*lane)
	l.place = len(q.list)
	q.list = append(q.list, l)
}

// Pop removes the last lane.
func (q *laneQueue) Pop() any {
	last := len(q.list) - 1
	l := q.list[last]
	q.list[last], q.list = nil, q.list[:last]
	l.place = -1
	return l
}

// first returns the lane with the best task, nil if there is none.
func (ls *lanes) first() *lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if len(ls.queue.list) == 0 {
		return nil
	}
	return ls.queue.list[0]
}

// set puts a lane aside, or back to the others.
func (ls *lanes) set(l *lane, aside bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.aside = aside
	ls.put(l)
}
