package qemu

import "testing"

// TestWatch boots a program that watches a directory by fsnotify.
func TestWatch(t *testing.T) {
	config := Config{CPUs: 2}
	config.Network.None = true
	g := boot(t, "qemu/testdata/watch", config)
	g.expect(t, "^done")
	if status := g.status(t); status != 0 {
		t.Fatalf("exit status %d", status)
	}
}
