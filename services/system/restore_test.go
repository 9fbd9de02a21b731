package system_test

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/file"
	"github.com/tuplix/tuplix/services/log"
	"github.com/tuplix/tuplix/services/message"
	"github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/user"
)

type note struct {
	ID   uint64 `table:"key,auto"`
	Text string
}

// A restore of all takes files, users, settings and a program's tables back, leaves
// messages, and says before what it would do; it can be undone.
func TestRestore(t *testing.T) {
	ctx := t.Context()
	s, err := system.Open(ctx, vfs.NewMem(), system.Options{})
	must(t, err)
	defer s.Close()
	notes := table.Declare[note]("note")
	must(t, s.Store.Create(ctx, &engine.Op{}, notes))
	must(t, s.Message.CreateMailbox(ctx, message.Mailbox{Name: "box"}))
	_, err = s.User.Create(ctx, "ann")
	must(t, err)
	_, err = s.File.Root().Create("old", file.New{Mode: syscall.S_IFDIR | 0o755})
	must(t, err)
	must(t, s.File.Sync())
	time.Sleep(2 * time.Millisecond) // versions are microseconds apart; this is for the clock
	then := time.Now()
	time.Sleep(2 * time.Millisecond)

	must(t, s.User.Delete(ctx, "ann"))
	size := "1MiB"
	must(t, s.Config.Set(ctx, "log.size", &size))
	_, err = s.File.Root().Create("new", file.New{Mode: syscall.S_IFDIR | 0o755})
	must(t, err)
	must(t, s.File.Root().Rmdir("old"))
	_, err = s.Store.Update(ctx, &engine.Op{Name: "write"}, func(tx *table.Tx) error {
		return notes.Insert(tx, &note{Text: "x"})
	})
	must(t, err)
	_, err = s.Message.Send(ctx, "box", message.Outgoing{Body: []byte("stays")})
	must(t, err)
	must(t, s.File.Sync())
	time.Sleep(2 * time.Millisecond)
	changed := time.Now()
	time.Sleep(2 * time.Millisecond)

	plan, err := s.Restore(ctx, then, true)
	must(t, err)
	undone := 0
	for _, p := range plan.Plans {
		undone += p.Transactions
	}
	if undone < 4 || !has(t, s, notes, 1) {
		t.Errorf("the plan has %d transactions", undone)
	}
	if _, err := s.Restore(user.With(ctx, user.Caller{User: "eve"}), then, false); !errors.Is(err, user.ErrDenied) {
		t.Errorf("a restore by somebody: %v", err)
	}
	if _, err := s.File.Root().Lookup("new"); err != nil || !has(t, s, notes, 1) {
		t.Errorf("a restore that was refused has changed something: %v", err)
	}
	done, err := s.Restore(ctx, then, false)
	must(t, err)
	if !slices.Contains(done.Tables, "note") || !slices.Contains(done.Skipped, "os.messages") || !slices.Contains(done.Skipped, "os.logs") {
		t.Errorf("restored %v, left %v", done.Tables, done.Skipped)
	}
	v, err := s.Store.Engine().At(ctx, changed)
	must(t, err)
	since, err := s.Store.Plan(ctx, store.Target{}, v)
	must(t, err)
	if since.Restores != 1 {
		t.Errorf("the restore is %d transactions", since.Restores)
	}
	must(t, s.User.SetPassword(ctx, "ann", "long enough"))
	if _, err := s.File.Root().Lookup("old"); err != nil {
		t.Errorf("the old directory: %v", err)
	}
	if _, err := s.File.Root().Lookup("new"); err == nil {
		t.Error("the new directory is still there")
	}
	for start := time.Now(); log.Size.In(s.Config) != 64<<20; time.Sleep(time.Millisecond) { // settings follow
		if time.Since(start) > 10*time.Second {
			t.Fatalf("log.size is %d", log.Size.In(s.Config))
		}
	}
	if has(t, s, notes, 1) {
		t.Error("the note is still there")
	}
	d, err := s.Message.TryReceive(ctx, "box")
	must(t, err)
	must(t, d.Ack(ctx))

	_, err = s.Restore(ctx, changed, false)
	must(t, err)
	if _, err := s.File.Root().Lookup("new"); err != nil || !has(t, s, notes, 1) {
		t.Errorf("the restore is not undone: %v", err)
	}
	_, err = s.Restore(ctx, then, false)
	must(t, err)
	if _, err := s.RestoreTable(ctx, "note", changed, false); err != nil || !has(t, s, notes, 1) {
		t.Errorf("the restore of one table: %v", err)
	}
	if _, err := s.RestoreTable(ctx, "os.inodes", then, false); err == nil {
		t.Error("a table of the files was restored alone")
	}
	if _, err := s.Restore(ctx, time.Unix(1, 0), false); !errors.Is(err, engine.ErrTooOld) {
		t.Errorf("a restore to 1970: %v", err)
	}
	must(t, s.Store.Check(ctx, func(p engine.Problem) { t.Error(p) }))
}

func has(t *testing.T, s *system.System, notes *table.Table[note], id uint64) bool {
	err := s.Store.View(context.Background(), func(tx *table.Tx) error {
		_, err := notes.Get(tx, id)
		return err
	})
	if err != nil && !errors.Is(err, table.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
