package task_test

import (
	"slices"
	"testing"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/task"
	"github.com/tuplix/tuplix/services/user"
)

// A task that is submitted within another, also in a transaction of that one, is its
// child: it says so, and is listed as such, the newest first. So is a child's own.
func TestFamily(t *testing.T) {
	s, st := open(t, task.Options{})
	ctx := t.Context()
	register(t, s, "leaf", func(*task.Context) ([]byte, error) { return nil, nil })
	register(t, s, "branch", func(c *task.Context) ([]byte, error) {
		_, err := s.Submit(c, task.Request{Program: "leaf"})
		return nil, err
	})
	register(t, s, "root", func(c *task.Context) ([]byte, error) {
		if _, err := s.SubmitAll(c, []task.Request{{Program: "branch"}, {Program: "leaf"}}); err != nil {
			return nil, err
		}
		_, err := c.Update("another", func(tx *table.Tx) error {
			_, err := s.In(tx).Submit(user.From(c), task.Request{Program: "leaf"})
			return err
		})
		return nil, err
	})
	work(t, s, 2)
	root, err := s.Submit(ctx, task.Request{Program: "root"})
	check(t, err)
	ended(t, s, root)
	children := childrenOf(t, s, root)
	if len(children) != 3 || !slices.IsSortedFunc(children, func(x, y task.Task) int { return int(y.ID) - int(x.ID) }) {
		t.Fatalf("the children are %+v", children)
	}
	for _, k := range children {
		ended(t, s, k.ID)
		if k.Parent != root {
			t.Errorf("task %d has the parent %d", k.ID, k.Parent)
		}
		if n := len(childrenOf(t, s, k.ID)); (n == 1) != (k.Program == "branch") {
			t.Errorf("task %d, %s, has %d children", k.ID, k.Program, n)
		}
	}
	orphan, err := s.Submit(ctx, task.Request{Program: "leaf"})
	check(t, err)
	if k, err := s.Get(ctx, orphan); err != nil || k.Parent != 0 {
		t.Errorf("got %+v, %v", k, err)
	}
	check(t, st.View(ctx, func(tx *table.Tx) error {
		n := 0
		for _, err := range task.Children.Scan(tx, table.Span{}) {
			check(t, err)
			n++
		}
		if n != 4 {
			t.Errorf("os.children has %d rows", n)
		}
		return nil
	}))
}

func ended(t *testing.T, s *task.Service, id uint64) {
	t.Helper()
	if k, err := s.Wait(t.Context(), id); err != nil || k.State != task.Done {
		t.Fatalf("task %d: %+v, %v", id, k, err)
	}
}

func childrenOf(t *testing.T, s *task.Service, id uint64) (list []task.Task) {
	t.Helper()
	for k, err := range s.List(t.Context(), task.Query{Parent: id}) {
		check(t, err)
		list = append(list, k)
	}
	return list
}
