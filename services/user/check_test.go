package user_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

func open(t *testing.T, fill func(tx *table.Tx) error) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), vfs.NewMem(), store.Options{}, user.Tables()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.Update(t.Context(), nil, fill); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCheck(t *testing.T) {
	s := open(t, func(tx *table.Tx) error {
		var errs []error
		for _, g := range []user.Grant{
			{Principal: "ann", Kind: user.KindQueue, Right: user.Submit, Object: "mail"},
			{Principal: "staff", Kind: user.KindPath, Right: user.Read, Object: "/srv/data"},
			{Principal: "operator", Kind: user.KindQueue, Right: user.Admin, Object: user.Every},
		} {
			errs = append(errs, user.Grants.Insert(tx, &g))
		}
		for _, m := range []user.Member{
			{Principal: "bob", Of: "staff"}, {Principal: "staff", Of: "bob"}, // a circle
			{Principal: "eve", Of: "night shift"}, {Principal: "night shift", Of: "operator"},
		} {
			errs = append(errs, user.Members.Insert(tx, &m))
		}
		return errors.Join(errs...)
	})
	for _, c := range []struct {
		user  string
		right user.Right
		kind  user.Kind
		name  string
		want  bool
	}{
		{user.Root, user.Admin, user.KindSystem, "net", true},
		{"", user.Read, user.KindPath, "/srv/data", false},
		{"nobody", user.Read, user.KindPath, "/srv/data", false},
		{"ann", user.Submit, user.KindQueue, "mail", true},
		{"ann", user.Claim, user.KindQueue, "mail", false},
		{"ann", user.Submit, user.KindQueue, "other", false},
		{"ann", user.Submit, user.KindTopic, "mail", false},
		{"bob", user.Read, user.KindPath, "/srv/data/a/b", true},
		{"bob", user.Read, user.KindPath, "/srv/data/../secret", false},
		{"bob", user.Read, user.KindPath, "/srv/database", false},
		{"bob", user.Read, user.KindPath, "/srv", false},
		{"bob", user.Write, user.KindPath, "/srv/data", false},
		{"eve", user.Claim, user.KindQueue, "any", true},
	} {
		err := s.View(t.Context(), func(tx *table.Tx) error {
			return user.Check(tx, user.Caller{User: c.user}, c.right, user.Object{Kind: c.kind, Name: c.name})
		})
		if err != nil && !errors.Is(err, user.ErrDenied) {
			t.Fatal(err)
		}
		if (err == nil) != c.want {
			t.Errorf("%s %s %s %s: allowed %v, want %v", c.user, c.right, c.kind, c.name, err == nil, c.want)
		}
	}
}

func TestCaller(t *testing.T) {
	if c := user.From(context.Background()); c.User != user.Root {
		t.Errorf("no caller is %+v, want root", c)
	}
	ann := user.Caller{User: "ann", Program: "mail", Task: "7"}
	c := user.From(user.With(context.Background(), ann))
	if c != ann {
		t.Errorf("got %+v, want %+v", c, ann)
	}
	if op := c.Op("send"); op.User != "ann" || op.Program != "mail" || op.Task != "7" || op.Name != "send" {
		t.Errorf("operation is %+v", op)
	}
}
