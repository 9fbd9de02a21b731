package qemu

import "testing"

// TestServices boots a program that uses the services twice: the second boot finds
// what the first one left, and what the command line sets.
func TestServices(t *testing.T) {
	config := Config{Disk: blankDisk(t, 64), CPUs: 2}
	config.Network.None = true
	for _, lines := range [][]string{
		{"^level INFO", "^boot 1 kernel said something: true", "^task done: 11", "^figures of all parts", "^done"},
		{"^level DEBUG", "^boot 1 kernel said something: true", "^message of boot 1", "^task done: 11", "^figures of all parts", "^done"},
		{"^level DEBUG", "^boot 2 kernel said something: true", "^message of boot 1", "^task done: 22", "^figures of all parts", "^done"},
	} {
		g := boot(t, "qemu/testdata/services", config)
		for _, line := range lines {
			g.expect(t, line)
		}
		if status := g.status(t); status != 0 {
			t.Fatalf("exit status %d", status)
		}
		config.Line.Set("set.log.level", "debug") // the boots after the first log their "up"
	}
}
