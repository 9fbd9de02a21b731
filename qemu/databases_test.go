package qemu

import (
	"math/rand/v2"
	"regexp"
	"testing"
	"time"
)

// databaseNames are those of qemu/testdata/databases.
var databaseNames = []string{"wal", "delete", "bbolt", "pebble"}

// TestDatabases pulls the plug while SQLite, in both of its ways, bbolt and Pebble write. Each
// time they find themselves whole, with all rows that they had reported.
func TestDatabases(t *testing.T) {
	config := Config{Disk: blankDisk(t, 64), CPUs: 2, Memory: 512}
	config.Network.None = true
	config.Line.Args = []string{"1000000"}
	acknowledged := map[string]int{}
	plugs := 4
	if testing.Short() {
		plugs = 1
	}
	for range plugs {
		g := bootDatabases(t, config, acknowledged)
		for _, name := range databaseNames {
			g.expect(t, "^ok "+name+" ") // each has begun
		}
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond) // a random moment
		g.Kill()
		<-g.Done()
		for _, m := range regexp.MustCompile(`(?m)^ok (\w+) (\d+)\r?$`).FindAllStringSubmatch(g.Text(), -1) {
			acknowledged[m[1]] = max(acknowledged[m[1]], atoi(m[2]))
		}
	}
	config.Line.Args = []string{"40"}
	g := bootDatabases(t, config, acknowledged)
	g.expect(t, "^done")
	if status := g.status(t); status != 0 {
		t.Fatalf("exit status %d", status)
	}
}

// bootDatabases checks what the program finds.
func bootDatabases(t *testing.T, config Config, acknowledged map[string]int) guest {
	t.Helper()
	g := boot(t, "qemu/testdata/databases", config)
	for range databaseNames {
		m := g.expect(t, `^found (\w+) (\d+)\r?\n`)
		if n := atoi(m[2]); n < acknowledged[m[1]] {
			t.Fatalf("%s: %d rows of the %d that were reported", m[1], n, acknowledged[m[1]])
		}
	}
	return g
}

// TestGit has a program commit, pack and clone by go-git. It is of another module, as
// the programs of others are.
func TestGit(t *testing.T) {
	config := Config{Disk: blankDisk(t, 64), Memory: 256}
	config.Network.None = true
	g := boot(t, "qemu/testdata/git", config)
	g.expect(t, "^done")
	if status := g.status(t); status != 0 {
		t.Fatalf("exit status %d", status)
	}
}
