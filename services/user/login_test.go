package user_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

const (
	annKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ann@home"
)

// users is a service with a clock of its own.
type users struct {
	*user.Service
	store *store.Store
	now   time.Time
}

func openUsers(t *testing.T) *users {
	t.Helper()
	s, err := store.Open(t.Context(), vfs.NewMem(), store.Options{}, user.Tables()...)
	if err != nil {
		t.Fatal(err)
	}
	u := &users{store: s, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	if u.Service, err = user.Open(t.Context(), s, user.Options{Now: func() time.Time { return u.now }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := s.Check(context.Background(), func(p engine.Problem) { t.Error(p) })
		if err := errors.Join(err, s.Close()); err != nil {
			t.Error(err)
		}
	})
	return u
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("got %v, want %v", err, want)
	}
}

func as(t *testing.T, name string) context.Context {
	return user.With(t.Context(), user.Caller{User: name})
}

func TestPassword(t *testing.T) {
	u := openUsers(t)
	_, err := u.Create(t.Context(), "ann")
	must(t, err)
	wants(t, u.CheckPassword(t.Context(), "ann", ""), user.ErrLogin)
	wants(t, u.CheckPassword(t.Context(), "nobody", "x"), user.ErrLogin)
	must(t, u.SetPassword(as(t, "ann"), "ann", "correct horse"))
	wants(t, u.SetPassword(as(t, "ann"), user.Root, "correct horse"), user.ErrDenied)
	if err := u.SetPassword(t.Context(), "ann", "short"); err == nil {
		t.Error("a short password was taken")
	}
	wants(t, u.CheckPassword(t.Context(), "ann", "correct horse"), nil)
	for range 5 {
		wants(t, u.CheckPassword(t.Context(), "ann", "wrong horse"), user.ErrLogin)
	}
	wants(t, u.CheckPassword(t.Context(), "ann", "correct horse"), user.ErrTooSoon)
	u.now = u.now.Add(time.Second)
	wants(t, u.CheckPassword(t.Context(), "ann", "wrong horse"), user.ErrLogin)
	u.now = u.now.Add(time.Second)
	wants(t, u.CheckPassword(t.Context(), "ann", "correct horse"), user.ErrTooSoon)
	u.now = u.now.Add(time.Second)
	wants(t, u.CheckPassword(t.Context(), "ann", "correct horse"), nil)
	must(t, u.Disable(t.Context(), "ann", true))
	wants(t, u.CheckPassword(t.Context(), "ann", "correct horse"), user.ErrLogin)
}

func TestFirstBoot(t *testing.T) {
	u := openUsers(t)
	once, err := u.FirstBoot(t.Context(), user.Bootstrap{})
	must(t, err)
	if len(once) != 16 {
		t.Fatalf("the password for one use is %q", once)
	}
	if again, err := u.FirstBoot(t.Context(), user.Bootstrap{}); err != nil || again != "" {
		t.Errorf("the second boot gave %q, %v", again, err)
	}
	must(t, u.CheckPassword(t.Context(), user.Root, once))
	wants(t, u.CheckPassword(t.Context(), user.Root, once), user.ErrLogin)

	told := openUsers(t)
	if once, err := told.FirstBoot(t.Context(), user.Bootstrap{Key: annKey}); err != nil || once != "" {
		t.Errorf("told a key, it gave %q, %v", once, err)
	}
	wants(t, told.CheckKey(t.Context(), user.Root, storedKey(t, told, user.Root)), nil)
}

// source answers with keys, or an error, and counts.
type source struct {
	keys  []string
	err   error
	asked int
}

func (s *source) Keys(context.Context) ([]string, error) {
	s.asked++
	return s.keys, s.err
}

// TestFirstBootSource: who knows keys is asked until it has said them, and then never again.
func TestFirstBootSource(t *testing.T) {
	u := openUsers(t)
	s := &source{err: errors.New("no answer")}
	for range 2 {
		_, err := u.FirstBoot(t.Context(), user.Bootstrap{Password: "long enough", Source: s})
		wants(t, err, s.err)
		wants(t, u.CheckPassword(t.Context(), user.Root, "long enough"), user.ErrLogin)
		u.now = u.now.Add(time.Minute)
	}
	s.keys, s.err = []string{"no key"}, nil
	if once, err := u.FirstBoot(t.Context(), user.Bootstrap{Password: "long enough", Source: s}); err == nil || once != "" {
		t.Errorf("told no key, it gave %q, %v", once, err)
	}
	wants(t, u.CheckPassword(t.Context(), user.Root, "long enough"), user.ErrLogin)
	s.keys = []string{"no key", annKey}
	for range 2 {
		if once, err := u.FirstBoot(t.Context(), user.Bootstrap{Source: s}); err != nil || once != "" {
			t.Errorf("told a key, it gave %q, %v", once, err)
		}
	}
	wants(t, u.CheckKey(t.Context(), user.Root, storedKey(t, u, user.Root)), nil)
	if s.asked != 4 {
		t.Errorf("asked %d times", s.asked)
	}
}

// storedKey returns the first key of a user.
func storedKey(t *testing.T, u *users, name string) (key []byte) {
	t.Helper()
	must(t, u.store.View(t.Context(), func(tx *table.Tx) error {
		k, err := user.Keys.First(tx, table.Prefix(name))
		key = k.Key
		return err
	}))
	return key
}

func TestKeys(t *testing.T) {
	u := openUsers(t)
	for _, name := range []string{"ann", "bob"} {
		_, err := u.Create(t.Context(), name)
		must(t, err)
	}
	print, err := u.AddKey(as(t, "ann"), "ann", annKey)
	must(t, err)
	if !strings.HasPrefix(print, "SHA256:") {
		t.Errorf("the fingerprint is %q", print)
	}
	key := storedKey(t, u, "ann")
	wants(t, u.CheckKey(t.Context(), "ann", key), nil)
	wants(t, u.CheckKey(t.Context(), "bob", key), user.ErrLogin)
	wants(t, u.CheckKey(t.Context(), "ann", key[:10]), user.ErrLogin)
	for _, line := range []string{"", "nonsense", `command="x" ` + annKey, annKey + "\n" + annKey} {
		if _, err := u.AddKey(t.Context(), "ann", line); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
	_, err = u.AddKey(as(t, "bob"), "ann", annKey)
	wants(t, err, user.ErrDenied)
	must(t, u.RemoveKey(as(t, "ann"), "ann", print))
	wants(t, u.CheckKey(t.Context(), "ann", key), user.ErrLogin)
}

func TestSessions(t *testing.T) {
	u := openUsers(t)
	_, err := u.Create(t.Context(), "ann")
	must(t, err)
	x, token, err := u.StartSession(t.Context(), "ann", "ssh", "10.0.0.1")
	must(t, err)
	if _, c, err := u.Resume(t.Context(), token); err != nil || c.User != "ann" || c.Program != "ssh" {
		t.Errorf("resumed as %+v, %v", c, err)
	}
	for _, wrong := range []string{"", token[1:], "AAAA" + token[4:]} {
		_, _, err := u.Resume(t.Context(), wrong)
		wants(t, err, user.ErrSession)
	}
	wants(t, u.EndSession(as(t, "bob"), x.ID), user.ErrDenied)
	must(t, u.EndSession(as(t, "ann"), x.ID))
	_, _, err = u.Resume(t.Context(), token)
	wants(t, err, user.ErrSession)

	_, token, err = u.StartSession(t.Context(), "ann", "ssh", "")
	must(t, err)
	u.now = u.now.Add(user.SessionTime)
	_, _, err = u.Resume(t.Context(), token)
	wants(t, err, user.ErrSession)
	_, token, err = u.StartSession(t.Context(), "ann", "ssh", "")
	must(t, err)
	must(t, u.store.View(t.Context(), func(tx *table.Tx) error {
		n := 0
		for range user.Sessions.Scan(tx, table.Span{}) {
			n++
		}
		if n != 1 {
			t.Errorf("%d sessions are kept", n)
		}
		return nil
	}))
	must(t, u.Disable(t.Context(), "ann", true))
	_, _, err = u.Resume(t.Context(), token)
	wants(t, err, user.ErrSession)
	_, _, err = u.StartSession(t.Context(), "ann", "ssh", "")
	wants(t, err, user.ErrLogin)
}

// What is removed leaves nothing behind for another of its name.
func TestManage(t *testing.T) {
	u := openUsers(t)
	ctx := t.Context()
	id, err := u.Create(ctx, "ann")
	must(t, err)
	next, err := u.Create(ctx, "bob")
	must(t, err)
	if id != 1000 || next != 1001 {
		t.Errorf("numbers %d and %d", id, next)
	}
	for _, bad := range []string{"", "ann", "users", "a b", "-x", strings.Repeat("x", 33)} {
		if _, err := u.Create(ctx, bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	must(t, u.CreateRole(ctx, "operator", "runs things"))
	must(t, u.Join(ctx, "ann", "operator"))
	wants(t, u.Join(ctx, "nobody", "operator"), user.ErrNoUser)
	wants(t, u.Join(ctx, "ann", "bob"), user.ErrNoUser)
	queue := user.Object{Kind: user.KindQueue, Name: "q"}
	must(t, u.Grant(ctx, "operator", user.Admin, queue))
	wants(t, u.Grant(as(t, "bob"), "bob", user.Submit, queue), user.ErrDenied)
	must(t, u.Grant(as(t, "ann"), "bob", user.Submit, queue)) // who has Admin may
	must(t, u.SetPassword(ctx, "ann", "correct horse"))
	may := func(name string, r user.Right) error {
		return u.store.View(ctx, func(tx *table.Tx) error { return user.Check(tx, user.Caller{User: name}, r, queue) })
	}
	wants(t, may("bob", user.Submit), nil)
	must(t, u.Revoke(ctx, "bob", user.Submit, queue))
	wants(t, may("bob", user.Submit), user.ErrDenied)
	wants(t, may("ann", user.Claim), nil)
	must(t, u.Delete(ctx, "ann"))
	wants(t, may("ann", user.Claim), user.ErrDenied)
	_, err = u.Create(ctx, "ann")
	must(t, err)
	wants(t, may("ann", user.Claim), user.ErrDenied)
	wants(t, u.CheckPassword(ctx, "ann", "correct horse"), user.ErrLogin)
	must(t, u.Join(ctx, "ann", "operator"))
	must(t, u.Leave(ctx, "ann", "operator"))
	wants(t, may("ann", user.Claim), user.ErrDenied)
	must(t, u.DeleteGroup(ctx, "operator"))
	must(t, u.CreateGroup(ctx, "operator", ""))
	must(t, u.Join(ctx, "ann", "operator"))
	wants(t, may("ann", user.Claim), user.ErrDenied)
	if u.Delete(ctx, user.Root) == nil {
		t.Error("root was removed")
	}
	for _, o := range []user.Object{{Kind: "planet", Name: "x"}, {Kind: user.KindPath}} {
		if u.Grant(ctx, "ann", user.Read, o) == nil {
			t.Errorf("a grant on %v was taken", o)
		}
	}
	if u.Grant(ctx, "ann", "eat", queue) == nil {
		t.Error("a right to eat was granted")
	}
}
