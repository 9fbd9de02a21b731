package task_test

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/task"
)

// life is a service without a worker that runs anything: the test is the worker, and
// time is what it says.
type life struct {
	t *testing.T
	*task.Service
	store  *store.Store
	passed atomic.Int64 // nanoseconds since begun
	begun  time.Time
	worker uint64
}

func (l *life) submit(r task.Request) uint64 {
	l.t.Helper()
	id, err := l.Submit(l.t.Context(), r)
	check(l.t, err)
	return id
}

// take has the worker take the one task that is ready.
func (l *life) take() task.Token {
	l.t.Helper()
	got, err := l.TryClaim(l.t.Context(), l.worker, 1)
	check(l.t, err)
	if len(got) != 1 {
		l.t.Fatalf("took %d tasks", len(got))
	}
	return got[0].Token()
}

func (l *life) later(d time.Duration) {
	l.t.Helper()
	l.passed.Add(int64(d))
	check(l.t, l.Tick(l.t.Context()))
}

func (l *life) now() time.Time { return l.begun.Add(time.Duration(l.passed.Load())) }

// gone has the worker be away for too long, and another take its place.
func (l *life) gone() {
	l.t.Helper()
	l.later(time.Hour)
	var err error
	l.worker, err = l.Join(l.t.Context(), "next", 1)
	check(l.t, err)
}

// drawn are the arrows of the drawing in doc.go, as "from -> to".
func drawn(t *testing.T) (list []string) {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	check(t, err)
	for _, line := range regexp.MustCompile(`(?m)^//\t([a-z, ]+) -+ [A-Za-z, ]+ -+> ([a-z, ]+)$`).FindAllStringSubmatch(string(text), -1) {
		for from := range strings.SplitSeq(line[1], ", ") {
			for to := range strings.SplitSeq(line[2], ", ") {
				list = append(list, from+" -> "+to)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// TestLife leads tasks along each arrow of the drawing in doc.go, and holds what the
// history of their rows tells, and what the code allows, against the drawing.
func TestLife(t *testing.T) {
	l := &life{t: t, begun: time.Now()}
	l.Service, l.store = open(t, task.Options{Lease: 10 * time.Minute, Now: l.now})
	for _, p := range []task.Program{{Name: "again"}, {Name: "never", OnCrash: task.NotTwice}} {
		check(t, l.Register(t.Context(), p, func(*task.Context) ([]byte, error) { panic("it runs here") }))
	}
	var err error
	l.worker, err = l.Join(t.Context(), "test", 1)
	check(t, err)
	ctx, minute, bad := t.Context(), time.Minute, errors.New("bad")
	again, never := task.Request{Program: "again"}, task.Request{Program: "never"}
	delayed, thrice := again, again
	delayed.Delay = minute
	thrice.Retry = task.Retry{Attempts: 3}
	soon := func(r task.Request) task.Request { r.Deadline = l.now().Add(minute); return r }

	check(t, l.Cancel(ctx, l.submit(delayed))) // delayed: canceled, failed, ready
	waits := delayed
	waits.Delay = time.Hour
	l.submit(soon(waits))
	l.later(2 * minute)
	id := l.submit(delayed)
	l.later(2 * minute)

	check(t, l.Complete(ctx, l.take(), nil)) // running: done, failed, and from there
	check(t, l.Retry(ctx, id))
	check(t, l.Fail(ctx, l.take(), bad))
	check(t, l.Retry(ctx, id))
	check(t, l.Cancel(ctx, id)) // ready: canceled, failed
	check(t, l.Retry(ctx, id))
	l.gone() // an idle worker loses nothing
	l.take()
	l.gone() // ready again
	check(t, l.Cancel(ctx, id))
	l.submit(soon(again))
	l.later(2 * minute)
	id = l.submit(never)
	l.take()
	l.gone() // lost
	check(t, l.Retry(ctx, id))
	check(t, l.Complete(ctx, l.take(), nil))

	id = l.submit(thrice) // more attempts: at once, and later
	check(t, l.Fail(ctx, l.take(), bad))
	check(t, l.Cancel(ctx, id))
	thrice.Retry.Backoff = minute
	id = l.submit(thrice)
	check(t, l.Fail(ctx, l.take(), bad))
	check(t, l.Cancel(ctx, id))

	id = l.submit(again) // stopping, and then as if nothing was, canceled, too late
	token := l.take()
	check(t, l.Cancel(ctx, id))
	check(t, l.Complete(ctx, token, nil))
	id = l.submit(again)
	token = l.take()
	check(t, l.Cancel(ctx, id))
	check(t, l.Fail(ctx, token, bad))
	l.submit(soon(again))
	token = l.take()
	l.later(2 * minute)
	check(t, l.Fail(ctx, token, bad))

	want := drawn(t)
	for what, have := range map[string][]string{"tasks went": l.seen(), "tasks may go": task.Moves()} {
		if !slices.Equal(have, want) {
			t.Errorf("%s\n\t%s\nand the drawing has\n\t%s", what, strings.Join(have, "\n\t"), strings.Join(want, "\n\t"))
		}
	}
}

// seen are the arrows in the history of all tasks.
func (l *life) seen() (list []string) {
	l.t.Helper()
	check(l.t, l.store.View(l.t.Context(), func(tx *table.Tx) error {
		for t, err := range task.Tasks.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			after := task.State("")
			for row, err := range task.Tasks.History(tx, t.ID) { // the newest first
				if err != nil {
					return err
				}
				if after != "" && row.Row.State != after {
					list = append(list, string(row.Row.State)+" -> "+string(after))
				}
				after = row.Row.State
			}
			list = append(list, "nothing -> "+string(after))
		}
		return nil
	}))
	slices.Sort(list)
	return slices.Compact(list)
}
