package task_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuplix/tuplix/services/task"
)

// TestOrder: workers that take some tasks at a time get the best of all, whatever was
// submitted, canceled and paused before, in many queues.
func TestOrder(t *testing.T) {
	for _, policy := range []string{"priority desc, due", "due", "priority, load"} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprint(policy, " ", seed), func(t *testing.T) { newOrdering(t, policy, seed).run() })
		}
	}
}

// ordering is tasks that wait, as they should be.
type ordering struct {
	t       *testing.T
	s       *task.Service
	rand    *rand.Rand
	clock   atomic.Int64
	worker  uint64
	policy  string
	waiting []task.Task
	paused  map[string]bool
}

const orderedQueues = 40

func newOrdering(t *testing.T, policy string, seed uint64) *ordering {
	o := &ordering{t: t, rand: rand.New(rand.NewPCG(seed, 1)), policy: policy, paused: map[string]bool{}}
	o.clock.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
	o.s, _ = open(t, task.Options{Now: func() time.Time { return time.UnixMicro(o.clock.Load()) }})
	register(t, o.s, "empty", func(*task.Context) ([]byte, error) { return nil, nil })
	check(t, o.s.SetPolicy(t.Context(), policy))
	for q := range orderedQueues {
		check(t, o.s.SetQueue(t.Context(), task.Queue{Name: fmt.Sprint(q)}))
	}
	worker, err := o.s.Join(t.Context(), "test", 1000)
	check(t, err)
	o.worker = worker
	return o
}

func (o *ordering) run() {
	for range 120 {
		o.clock.Add(int64(o.rand.IntN(3)))
		switch o.rand.IntN(8) {
		case 0, 1, 2:
			o.submit(1 + o.rand.IntN(30))
		case 3:
			o.pause(fmt.Sprint(o.rand.IntN(orderedQueues)))
		case 4:
			o.cancel()
		default:
			o.take(1 + o.rand.IntN(20))
		}
	}
	for q, paused := range o.paused {
		if paused {
			o.pause(q)
		}
	}
	for len(o.waiting) > 0 && !o.t.Failed() {
		o.take(17)
	}
	o.take(1)
}

func (o *ordering) submit(n int) {
	list := make([]task.Request, n)
	for i := range list {
		list[i] = task.Request{Program: "empty", Queue: fmt.Sprint(o.rand.IntN(orderedQueues)), Priority: int8(o.rand.IntN(3))}
	}
	ids, err := o.s.SubmitAll(o.t.Context(), list)
	check(o.t, err)
	for _, id := range ids {
		st, err := o.s.Get(o.t.Context(), id)
		check(o.t, err)
		o.waiting = append(o.waiting, st.Task)
	}
}

func (o *ordering) pause(queue string) {
	o.paused[queue] = !o.paused[queue]
	check(o.t, o.s.SetQueue(o.t.Context(), task.Queue{Name: queue, Paused: o.paused[queue]}))
}

func (o *ordering) cancel() {
	if len(o.waiting) == 0 {
		return
	}
	i := o.rand.IntN(len(o.waiting))
	check(o.t, o.s.Cancel(o.t.Context(), o.waiting[i].ID))
	o.waiting = slices.Delete(o.waiting, i, i+1)
}

// take compares what a worker gets with what it should.
func (o *ordering) take(n int) {
	slices.SortFunc(o.waiting, func(x, y task.Task) int {
		byPriority := 0
		switch o.policy {
		case "priority desc, due":
			byPriority = cmp.Compare(y.Priority, x.Priority)
		case "priority, load":
			byPriority = cmp.Compare(x.Priority, y.Priority)
		}
		return cmp.Or(byPriority, x.Due.Compare(y.Due), cmp.Compare(x.ID, y.ID))
	})
	var want []uint64
	o.waiting = slices.DeleteFunc(o.waiting, func(k task.Task) bool {
		taken := len(want) < n && !o.paused[k.Queue]
		if taken {
			want = append(want, k.ID)
		}
		return taken
	})
	got, err := o.s.TryClaim(o.t.Context(), o.worker, n)
	check(o.t, err)
	var ids []uint64
	var ends []*task.Outcome
	for i := range got {
		ids = append(ids, got[i].Task.ID)
		ends = append(ends, &task.Outcome{Token: got[i].Token()})
	}
	if !slices.Equal(ids, want) {
		o.t.Fatalf("got %v, want %v", ids, want)
	}
	_, err = o.s.Exchange(o.t.Context(), o.worker, ends, 0)
	check(o.t, err)
}

// TestWindow: a policy that looks at tasks beyond what their order tells passes none
// over, with however many at a time they are taken.
func TestWindow(t *testing.T) {
	s, _ := open(t, task.Options{})
	ctx := t.Context()
	register(t, s, "empty", func(*task.Context) ([]byte, error) { return nil, nil })
	check(t, s.SetPolicy(ctx, "deadline"))
	const n = 300
	now := time.Now()
	list := make([]task.Request, n)
	for i := range list {
		list[i] = task.Request{Program: "empty", Deadline: now.Add(time.Hour + time.Duration((i*7)%50)*time.Minute)}
	}
	_, err := s.SubmitAll(ctx, list)
	check(t, err)
	worker, err := s.Join(ctx, "test", n)
	check(t, err)
	left := n
	for _, some := range []int{1, 2, 5, 100, 1, 3, n, n, n, n} {
		got, err := s.TryClaim(ctx, worker, some)
		check(t, err)
		left -= len(got)
		for i := range got {
			check(t, s.Complete(ctx, got[i].Token(), nil))
		}
	}
	if left != 0 {
		t.Errorf("%d of %d tasks were passed over", left, n)
	}
}
