package qemu

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/qemu/internal/mixed"
	"github.com/tuplix/tuplix/qemu/internal/workload"
	"github.com/tuplix/tuplix/services/system"
)

var (
	plugs    = flag.Int("plugs", 25, "how often TestPlug pulls the plug")
	plugSeed = flag.Uint64("plug-seed", 0, "of TestPlug's operations and moments; 0: another each time")
)

// The guest of TestPlug.
const (
	plugWorkers = 2  // that change files
	plugClerks  = 2  // that move money
	plugsOnDisk = 25 // before a new one: what is kept grows
)

// TestPlug pulls the plug at random moments, again and again, under files, tasks,
// messages and a ring of balances. Each time all must be sound, nothing that the
// console told of may be lost, and nothing be done twice; and the next boot must find
// the same. One in five is pulled while the guest boots, and so repairs what the one
// before has left. The host's page cache outlives QEMU, so what this tests is the
// moments; TestWriteLog tests lost writes.
func TestPlug(t *testing.T) {
	seed := *plugSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-plug-seed %d", seed)
	p := plugger{seed: seed % 1e9, rng: rand.New(rand.NewPCG(seed, 0)), told: map[string]int{}}
	for n := range *plugs {
		if n%plugsOnDisk == 0 {
			p.config = Config{Disk: blankDisk(t, 64), CPUs: 2}
			p.before = nothing()
		}
		if err := p.pull(t, n); err != nil {
			t.Fatalf("plug %d: %v", n, err)
		}
	}
	t.Logf("%d plugs, told on the console: %v", *plugs, p.told)
	for _, kind := range []string{"file", "clerk", "send", "handle", "pay"} {
		if p.told[kind] == 0 {
			t.Errorf("nothing was told of the kind %q", kind)
		}
	}
}

// remains are what a pulled plug leaves.
type remains struct {
	trees []workload.Tree
	state *mixed.State
}

// nothing is what a new disk has.
func nothing() remains {
	return remains{trees: make([]workload.Tree, plugWorkers), state: &mixed.State{}}
}

func (r *remains) String() string { return fmt.Sprint(workload.Digest(r.trees), " ", r.state) }

type plugger struct {
	seed   uint64
	rng    *rand.Rand
	config Config
	before remains
	told   map[string]int // acknowledgements in all, by kind
}

// pull boots a machine, pulls its plug and looks at what is left.
func (p *plugger) pull(t *testing.T, n int) error {
	c, run := p.config, p.seed+uint64(n)
	c.Network.None = true
	c.Line.Args = []string{itoa(int(run)), itoa(plugWorkers), itoa(plugClerks)}
	g := boot(t, "qemu/testdata/mixed", c)
	early := p.rng.IntN(5) == 0
	if early {
		time.Sleep(time.Duration(p.rng.IntN(1500)) * time.Millisecond) // a random moment
	} else {
		if got := strings.TrimRight(g.expect(t, `^found (.*)\n`)[1], "\r"); got != p.before.String() {
			return fmt.Errorf("the guest finds %s, the host %v", got, &p.before)
		}
		g.expect(t, `^ok pay `)
		for range p.rng.IntN(60) {
			g.expect(t, `^ok `)
		}
		time.Sleep(time.Duration(p.rng.IntN(20)) * time.Millisecond)
	}
	g.Kill()
	<-g.Done()
	if failed := regexp.MustCompile(`(?m)^failed: .*`).FindString(g.Text()); failed != "" {
		return errors.New(failed)
	}
	now, err := lookAfterPlug(p.config)
	if err != nil {
		return err
	}
	if err := p.compare(now, g.Text(), run, early); err != nil {
		return err
	}
	p.before = now
	return nil
}

// lookAfterPlug proves all that is on a disk sound. The disk is not changed.
func lookAfterPlug(c Config) (r remains, err error) {
	dev, err := readImage(c.Disk.Path, 512)
	if err != nil {
		return r, err
	}
	if _, err := blockfs.Check(dev); errors.Is(err, blockfs.ErrBlank) {
		return nothing(), nil // the first boot did not come that far
	} else if err != nil {
		return r, err
	}
	err = withSystem(dev, func(s *system.System) error {
		var problems error
		err := s.Store.Check(context.Background(), func(p engine.Problem) {
			problems = errors.Join(problems, fmt.Errorf("%s: %s", p.Where, p.What))
		})
		if err = errors.Join(err, problems); err != nil {
			return err
		}
		if r.trees, err = checkFiles(s.File, plugWorkers); err != nil {
			return err
		}
		w, err := mixed.Open(context.Background(), s)
		if err == nil {
			r.state, err = w.Look(context.Background())
		}
		return err
	})
	return r, err
}

// compare holds what is there against what was there before and what the console
// told of.
func (p *plugger) compare(now remains, console string, run uint64, early bool) error {
	told := acknowledgements(console)
	for _, a := range told {
		p.told[a.kind]++
	}
	if err := now.state.Lost(p.before.state); err != nil {
		return err
	}
	clerks, files := make([]int, plugClerks), make([]int, plugWorkers)
	for _, a := range told {
		lost := false
		switch a.kind {
		case "file":
			files[a.who] = max(files[a.who], a.number+1)
		case "clerk":
			clerks[a.who] = max(clerks[a.who], a.number+1)
		case "send":
			lost = a.number >= now.state.Sent
		case "handle":
			lost = a.number >= now.state.Handled()
		case "pay":
			lost = a.number >= now.state.Handled() || !now.state.Paid[a.number]
		}
		if lost {
			return fmt.Errorf("%s of order %d was acknowledged and is not there: %v", a.kind, a.number, now.state)
		}
	}
	for i, n := range clerks {
		if least := p.before.state.Clerks[i] + n; now.state.Clerks[i] < least {
			return fmt.Errorf("clerk %d reported %d transfers, %d are there", i, least, now.state.Clerks[i])
		}
	}
	if early && !strings.Contains(console, "\nbegin") {
		return nil // the files of the run before were being cleared away
	}
	_, err := match(timelines(run, plugWorkers), now.trees, files, -1)
	return err
}

// acknowledgement is a line of the console that tells of something durable.
type acknowledgement struct {
	kind        string
	who, number int
}

func acknowledgements(console string) (list []acknowledgement) {
	for _, m := range regexp.MustCompile(`(?m)^ok (\w+) (\d+) (\d+)\r?$`).FindAllStringSubmatch(console, -1) {
		list = append(list, acknowledgement{m[1], atoi(m[2]), atoi(m[3])})
	}
	return list
}
