package task

import "cmp"

// laneQueue is lanes as a binary heap, the one with the best task first, as far as that
// can be told by what is known of the lanes: a policy that looks at the load of queues or
// at rows of tasks is not followed. So who takes a task need not look at all queues,
// but at one or two. What is compared lies in the heap itself: lanes are all over the
// memory. lanes.mu guards it.
type laneQueue struct {
	policy *policy
	list   []ranked
}

// ranked is a lane in the heap, with its head and priority as they were when it was
// brought here.
type ranked struct {
	due      int64
	id       uint64
	priority int8
	lane     *lane
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

// order has the lanes in the order of a policy.
func (q *laneQueue) order(pol *policy) {
	q.policy = pol
	for i := len(q.list)/2 - 1; i >= 0; i-- {
		q.down(i, q.list[i])
	}
}

// put brings a lane to its place, after its head has changed.
func (q *laneQueue) put(l *lane) {
	e := l.head()
	p := ranked{due: e.due, id: e.id, priority: l.priority, lane: l}
	if l.place < 0 {
		q.list = append(q.list, ranked{})
		q.up(len(q.list)-1, p)
		return
	}
	q.settle(l.place, p)
}

// remove takes a lane out.
func (q *laneQueue) remove(l *lane) {
	i, last := l.place, len(q.list)-1
	l.place = -1
	p := q.list[last]
	q.list[last] = ranked{}
	if q.list = q.list[:last]; i < last {
		q.settle(i, p)
	}
}

// settle puts p at i or wherever else it belongs.
func (q *laneQueue) settle(i int, p ranked) {
	if i > 0 && q.less(&p, &q.list[(i-1)/2]) {
		q.up(i, p)
	} else {
		q.down(i, p)
	}
}

// up puts p at i or above.
func (q *laneQueue) up(i int, p ranked) {
	for i > 0 {
		parent := (i - 1) / 2
		if !q.less(&p, &q.list[parent]) {
			break
		}
		q.set(i, q.list[parent])
		i = parent
	}
	q.set(i, p)
}

// down puts p at i or below.
func (q *laneQueue) down(i int, p ranked) {
	for {
		child := 2*i + 1
		if child >= len(q.list) {
			break
		}
		if other := child + 1; other < len(q.list) && q.less(&q.list[other], &q.list[child]) {
			child = other
		}
		if !q.less(&q.list[child], &p) {
			break
		}
		q.set(i, q.list[child])
		i = child
	}
	q.set(i, p)
}

func (q *laneQueue) set(i int, p ranked) {
	q.list[i] = p
	p.lane.place = i
}

// less reports whether x goes before y.
func (q *laneQueue) less(x, y *ranked) bool {
	n := 0
	if q.policy != nil {
		n = q.policy.compare(x, y)
	}
	return cmp.Or(n, cmp.Compare(x.due, y.due), cmp.Compare(x.id, y.id)) < 0
}

// compare is negative if x goes before y by the terms that can be told.
func (p *policy) compare(x, y *ranked) int {
	for _, t := range p.terms {
		n := 0
		switch t.column {
		case byPriority:
			n = cmp.Compare(x.priority, y.priority)
		case byDue:
			n = cmp.Compare(x.due, y.due)
		}
		if t.desc {
			n = -n
		}
		if n != 0 {
			return n
		}
	}
	return 0
}

// first returns the lane with the best task, nil if there is none.
func (ls *lanes) first() *lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if len(ls.queue.list) == 0 {
		return nil
	}
	return ls.queue.list[0].lane
}

// set puts a lane aside, or back to the others.
func (ls *lanes) set(l *lane, aside bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.aside = aside
	ls.put(l)
}
