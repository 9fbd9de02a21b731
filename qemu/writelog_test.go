package qemu

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev"
	"github.com/tuplix/tuplix/dbms/blockdev/writelog"
	"github.com/tuplix/tuplix/dbms/blockfs"
)

// TestWriteLog has QEMU record what a guest does to its disk, and replays the log
// to every flush and to random parts of what was written after. Each state must
// be sound and have what was acknowledged before it.
//
// The guest waits after each round of operations. So what the log counts when a
// round is acknowledged tells where in the log it is durable at the latest.
func TestWriteLog(t *testing.T) {
	const seed, workers, rounds, mib = 7, 4, 40, 48
	disk := blankDisk(t, mib)
	disk.Log = filepath.Join(t.TempDir(), "writes.log")
	if err := os.WriteFile(disk.Log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g := bootDisk(t, Config{Disk: disk, Memory: 80}, "work", itoa(seed), itoa(workers), itoa(rounds), "1")
	g.expect(t, "^begin")
	var durable []int // by round: entries of the log
	for n := range rounds {
		g.expect(t, "^round "+itoa(n)+`\r?$`)
		durable = append(durable, logEntries(t, disk.Log))
		g.say(t, "go on")
	}
	if status := g.status(t); status != 0 {
		t.Fatalf("exit status %d", status)
	}

	log, err := os.Open(disk.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	lines, states, last := timelines(seed, workers), 0, 0
	judge := func(s writelog.State) error {
		states++
		rounds := sort.SearchInts(durable, s.Entry+1) // those that end at or before this entry
		trees, err := examine(s.Device, workers)
		if rounds == 0 && errors.Is(err, blockfs.ErrBlank) {
			return nil // not formatted yet
		}
		if err != nil {
			return err
		}
		acknowledged := make([]int, workers)
		for i := range acknowledged {
			acknowledged[i] = rounds
		}
		_, err = match(lines, trees, acknowledged, 1)
		last = rounds
		return err
	}
	base := blockdev.NewMemory(mib<<20, 512)
	if err := writelog.Replay(log, writelog.Options{Base: base, Seed: seed, Subsets: 2}, judge); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d states, %d entries, %d rounds", states, logEntries(t, disk.Log), last)
	if last != rounds || states < rounds {
		t.Errorf("%d states, the last one after round %d of %d", states, last, rounds)
	}
}

// logEntries reads how many entries the log's superblock counts: at least all up
// to the last flush that the guest has seen complete.
func logEntries(t *testing.T, path string) int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var count [8]byte
	if _, err := f.ReadAt(count[:], 16); err != nil {
		t.Fatal(err)
	}
	return int(binary.LittleEndian.Uint64(count[:]))
}
