package qemu

import (
	"fmt"
	"math/rand/v2"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/qemu/internal/bank"
)

const clerks = 3

// TestTablesAtExit ends a program whose transactions did not wait to be durable:
// a return from main makes them so.
func TestTablesAtExit(t *testing.T) {
	config := Config{Disk: blankDisk(t, 64), Network: Network{None: true}}
	g := bootTables(t, config, itoa(clerks), "50")
	g.expect(t, "^done")
	if status := g.status(t); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	if got, want := lookAtTables(t, config), (bank.State{0: 50, 1: 50, 2: 50}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, should be %v", got, want)
	}
}

// TestTablesTold pulls the plug under transactions that do not wait to be durable, when
// it has heard of some on the console or by the network: what was told is on the disk.
func TestTablesTold(t *testing.T) {
	const plugs = 3
	for _, by := range []string{"console", "network"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			config := Config{Disk: blankDisk(t, 64), Network: Network{None: by == "console"}}
			told, all := bank.State{}, 0
			for range plugs {
				var hear func() string
				to := by
				if by == "network" {
					hear, to = listen(t)
				}
				g := bootTables(t, config, itoa(clerks), "0", to)
				if by == "console" {
					hear = func() string { return g.expect(t, `^ok .*\n`)[0] }
				}
				for range 20 + rand.IntN(30) {
					var clerk, n int
					if _, err := fmt.Sscanf(hear(), "ok %d %d", &clerk, &n); err != nil {
						t.Fatal(err)
					}
					told[clerk] = max(told[clerk], n)
					all++
				}
				g.Kill()
				<-g.Done()
				found := lookAtTables(t, config)
				for clerk, n := range told {
					if found[clerk] < n {
						t.Errorf("transfer %d of clerk %d was told of; there are %d", n, clerk, found[clerk])
					}
				}
			}
			t.Logf("%d were told of, and the last were %v", all, told)
		})
	}
}

// listen hears the datagrams of a guest. It returns the address as the guest sees it.
func listen(t *testing.T) (hear func() string, addr string) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return func() string {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		var b [100]byte
		n, err := conn.Read(b[:])
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}, fmt.Sprintf("10.0.2.2:%d", conn.LocalAddr().(*net.UDPAddr).Port)
}

func bootTables(t *testing.T, c Config, args ...string) guest {
	t.Helper()
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
