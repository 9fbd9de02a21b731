package qemu

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tuplix/tuplix/qemu/internal/workload"
)

var (
	plugs    = flag.Int("plugs", 8, "how often TestPlug pulls the plug")
	plugSeed = flag.Uint64("plug-seed", 0, "of TestPlug's operations and moments; 0: another each time")
)

// TestPlug pulls the plug at random moments, again and again, on the same disk.
// After each time the volume must be sound and all acknowledged operations be
// there, and the next boot must find the same. The host's page cache outlives
// QEMU, so what this tests is the moments; TestWriteLog tests lost writes.
func TestPlug(t *testing.T) {
	seed := *plugSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-plug-seed %d", seed)
	const workers = 3
	rng := rand.New(rand.NewPCG(seed, 0))
	config := Config{Disk: blankDisk(t, 64), CPUs: 2}
	found := workload.Digest(make([]workload.Tree, workers))
	operations := 0
	for n := range *plugs {
		run := seed%1e9 + uint64(n)
		g := bootDisk(t, config, "work", itoa(int(run)), itoa(workers), "1000000", "0")
		if got := g.expect(t, `^found (\w+)\r?\n`)[1]; got != found {
			t.Fatalf("plug %d: the guest finds other files (%s) than the host (%s)", n, got, found)
		}
		g.expect(t, "^begin")
		time.Sleep(time.Duration(rng.IntN(700)) * time.Millisecond) // a random moment
		g.Kill()
		<-g.Done()
		dev, err := readImage(config.Disk.Path, 512)
		if err != nil {
			t.Fatal(err)
		}
		trees, err := examine(dev, workers)
		if err != nil {
			t.Fatalf("plug %d: %v", n, err)
		}
		done, err := match(timelines(run, workers), trees, g.acknowledged(workers), -1)
		if err != nil {
			t.Fatalf("plug %d: %v", n, err)
		}
		for _, k := range done {
			operations += k
		}
		found = workload.Digest(trees)
	}
	if operations < *plugs {
		t.Errorf("%d operations in all: the guest hardly runs", operations)
	}
	t.Logf("%d operations, %d plugs", operations, *plugs)
}
