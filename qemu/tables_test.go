package qemu

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/qemu/internal/bank"
)

const clerks = 3

// TestTables pulls the plug while clerks move money between accounts. Each time
// the host finds a whole store, the sum, and all transfers that were reported as
// durable; and so does the guest when it boots again.
func TestTables(t *testing.T) {
	config := Config{Disk: blankDisk(t, 64), CPUs: 2}
	found := bank.State{}
	for n := range max(2, *plugs/2) {
		g := bootTables(t, config, itoa(clerks), "1000000")
		g.expect(t, `^found map\[[0-9: ]*\]\r?\n`)
		g.expect(t, "^begin")
		g.expect(t, `^ok 0 \d+`)
		time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond) // a random moment
		g.Kill()
		<-g.Done()
		acknowledged := g.acknowledged(clerks)
		now := lookAtTables(t, config)
		for c := range clerks {
			if least := found[c] + acknowledged[c]; now[c] < least {
				t.Fatalf("plug %d: clerk %d reported %d transfers, %d are there", n, c, least, now[c])
			}
		}
		found = now
	}
}

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
