package qemu

import (
	"reflect"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/qemu/internal/bank"
)

const clerks = 3

// TestTablesAtExit ends a program whose transactions did not wait to be durable:
// a return from main makes them so.
func TestTablesAtExit(t *testing.T) {
	config := Config{Disk: blankDisk(t, 64)}
	g := bootTables(t, config, itoa(clerks), "50", "hurry")
	g.expect(t, "^done")
	if status := g.status(t); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	if got, want := lookAtTables(t, config), (bank.State{0: 50, 1: 50, 2: 50}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, should be %v", got, want)
	}
}

func bootTables(t *testing.T, c Config, args ...string) guest {
	t.Helper()
	c.Network.None = true
	c.Line.Args = args
	return boot(t, "qemu/testdata/tables", c)
}

// lookAtTables opens the store of a disk that no machine uses, and checks it. What
// opening changes stays in memory.
func lookAtTables(t *testing.T, c Config) bank.State {
	t.Helper()
	dev, err := readImage(c.Disk.Path, 512)
	if err != nil {
		t.Fatal(err)
	}
	volume, err := blockfs.Open(dev, blockfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tables := bank.Declare()
	s, err := store.Open(t.Context(), volume, store.Options{}, tables.All()...)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context(), func(p engine.Problem) { t.Errorf("%s: %s", p.Where, p.What) }); err != nil {
		t.Fatal(err)
	}
	state, err := tables.Look(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return state
}
