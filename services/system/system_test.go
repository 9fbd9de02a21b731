package system_test

import (
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/services/log"
	"github.com/tuplix/tuplix/services/system"
)

// A system that was closed goes on where it was; one that cannot be opened leaves
// the store as it is.
func TestOpen(t *testing.T) {
	fs := vfs.NewMem()
	s, err := system.Open(t.Context(), fs, system.Options{})
	if err != nil {
		t.Fatal(err)
	}
	slog.New(s.Log.Handler()).Info("hello")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := system.Open(t.Context(), fs, system.Options{Override: map[string]string{"log.size": "-1"}}); err == nil {
		t.Error("a wrong override was taken")
	}
	s, err = system.Open(t.Context(), fs, system.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for l, err := range s.Log.Read(t.Context(), log.Query{}) {
		if err != nil || l.Message != "hello" {
			t.Fatalf("read %+v, %v", l, err)
		}
	}
	if err := s.Store.Check(t.Context(), func(p engine.Problem) { t.Error(p) }); err != nil {
		t.Fatal(err)
	}
}
