package qemu

import "testing"

// TestPlaces has a program find its home, temporary files and the like on a fresh
// disk, then what the command line says in their place.
func TestPlaces(t *testing.T) {
	config := Config{Disk: blankDisk(t, 64), Network: Network{None: true}}
	g := boot(t, "qemu/testdata/places", config)
	for _, line := range []string{
		`home: /`, `cache: //?\.cache`, `config: //?\.config`, `temp: /tmp`, `user: 0 /`,
		`path: /usr/local/bin:/usr/bin:/bin`, `type: 0x74706c78`,
		`start: function not implemented`, `random: never the same`, `hello there`, `terminal: /dev/tty`,
	} {
		g.expect(t, `^`+line+`\r?$`)
	}
	if status := g.status(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	config.Line.Env = []string{"HOME=/home", "PATH="}
	g = boot(t, "qemu/testdata/places", config)
	g.expect(t, `^home: /home\r?$`)
	g.expect(t, `^set: /home\r?$`)
}
