package blockfs

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev/crash"
)

var (
	crashSeed  = flag.Uint64("crash.seed", 0, "run the crash test with this seed only")
	crashSeeds = flag.Uint64("crash.seeds", 3000, "number of seeds of the crash test")
)

// TestCrash runs random operations against the model, cuts the power at a random
// device operation, keeps a random part of what was not flushed, and compares;
// then it goes on with what is left. Sometimes the power fails again while the
// volume is opened.
func TestCrash(t *testing.T) {
	from, to := uint64(1), *crashSeeds/raceShare
	if testing.Short() {
		to /= 10
	}
	if *crashSeed != 0 {
		from, to = *crashSeed, *crashSeed
	}
	for seed := from; seed <= to; seed++ {
		if m, err := crashRun(seed); err != nil {
			t.Fatalf("%v\nlast operations:\n%s\nseed %d: go test -run TestCrash$ -crash.seed=%d",
				err, strings.Join(m.log[max(0, len(m.log)-40):], "\n"), seed, seed)
		}
	}
}

func crashRun(seed uint64) (*model, error) {
	rng := rand.New(rand.NewPCG(seed, 0xC5A5))
	size := int64(4+rng.IntN(3))<<20 + headerOf(seed)
	dev := crash.New(size, []int{512, 4096}[rng.IntN(2)])
	m := newModel(rng, dev)
	var err error
	if m.cover, err = coverOf(seed, dev); err != nil {
		return m, err
	}
	if m.top, err = m.cover(dev); err != nil {
		return m, err
	}
	if err := Format(m.top, FormatOptions{}); err != nil {
		return m, err
	}
	for range 3 {
		if err := m.boot(); err != nil {
			return m, err
		}
		m.dev.CutAfter(rng.IntN(1 << rng.IntN(9)))
		for range 300 {
			if err := m.step(); err != nil && !isFull(err) {
				return m, err
			}
			if m.dev.Cut() {
				break
			}
		}
		if err := m.crash(); err != nil {
			return m, err
		}
	}
	return m, nil
}

// boot opens the volume; the power may fail on the way.
func (m *model) boot() error {
	for m.rng.IntN(3) == 0 {
		m.dev.CutAfter(m.rng.IntN(12))
		if _, err := Open(m.top, Options{inline: true}); err != nil && !m.dev.Cut() {
			return fmt.Errorf("open: %w", err)
		}
		if err := m.powerCycle(); err != nil {
			return err
		}
	}
	fs, err := Open(m.top, Options{inline: true})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	m.fs = fs
	return m.compare()
}

// powerCycle loses what the seed has it lose, and proves the volume consistent.
func (m *model) powerCycle() error {
	dev, err := m.dev.Crash(m.rng)
	if err != nil {
		return err
	}
	m.dev = dev
	m.note("-- power cut")
	if m.top, err = m.cover(dev); err != nil {
		return err
	}
	_, err = Check(m.top)
	return err
}

// crash ends a round.
func (m *model) crash() error {
	if !m.dev.Cut() {
		m.dev.CutAfter(-1)
		for len(m.handles) > 0 {
			if err := m.close(); err != nil {
				return err
			}
		}
		if err := m.fs.audit(); err != nil {
			return err
		}
	}
	m.handles = nil
	return m.powerCycle()
}

// compare finds a snapshot that the volume agrees with, and goes on with that.
func (m *model) compare() error {
	found := map[string][]byte{}
	if err := walk(m.fs, ".", found); err != nil {
		return err
	}
	var differences []string
	for i := len(m.history) - 1; i >= 0; i-- {
		diff := difference(m.history[i], found)
		if diff == "" {
			m.adopt(m.history[i], found)
			return nil
		}
		differences = append(differences, fmt.Sprintf("snapshot %d: %s", m.base+i, diff))
	}
	return fmt.Errorf("the volume agrees with no state it may be in:\n%s", strings.Join(differences, "\n"))
}

// adopt makes what was found the state of the model, and durable.
func (m *model) adopt(s snapshot, found map[string][]byte) {
	m.names = snapshot{}
	seen := map[*modelFile]*modelFile{nil: nil}
	for name, content := range found {
		old := s[name]
		if _, ok := seen[old]; !ok {
			seen[old] = &modelFile{log: old.log, live: content}
			seen[old].synced()
		}
		m.names[name] = seen[old]
	}
	m.history, m.base = nil, 0
	m.changed()
}

// difference tells the first difference between a snapshot and what was found.
func difference(s snapshot, found map[string][]byte) string {
	for name := range s {
		if _, ok := found[name]; !ok {
			return name + " is missing"
		}
	}
	for name, content := range found {
		file, ok := s[name]
		switch {
		case !ok:
			return name + " should not be there"
		case (file == nil) != (content == nil):
			return name + " is a directory, or should be"
		case file != nil && !file.matches(content):
			return fmt.Sprintf("%s has %d bytes: %d synced, %d written, log %t", name, len(content), len(file.durable), len(file.live), file.log)
		}
	}
	return ""
}

// walk collects all names below dir, with the content of files.
func walk(fs *FS, dir string, found map[string][]byte) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, base := range names {
		name := path.Join(dir, base)
		info, err := fs.Stat(name)
		if err != nil {
			return err
		}
		if info.IsDir() {
			found[name] = nil
			err = walk(fs, name, found)
		} else {
			found[name], err = contentOf(fs, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func contentOf(fs *FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(f)
	return content, errors.Join(err, f.Close())
}
