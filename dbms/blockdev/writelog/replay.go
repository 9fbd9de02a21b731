package writelog

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/tuplix/tuplix/dbms/blockdev"
	"github.com/tuplix/tuplix/dbms/blockdev/crash"
)

// Options say which states Replay makes.
type Options struct {
	Base    *blockdev.Memory // the disk when the log began; it is not changed
	Seed    uint64           // of the random subsets
	Subsets int              // states with random subsets, for each span between flushes
}

// State is a disk as it may be found after a power cut.
type State struct {
	Device *blockdev.Memory // a copy: may be changed
	Entry  int              // number of entries of the log replayed
	Subset int              // 0: all writes up to here and no other; else which random one
}

// Replay replays a log to each flush and to the end, and
// calls judge with the state: first what is surely durable there, then, before
// each flush, Subsets times with random parts of what was not flushed yet. It
// stops at the first error and says for which state.
func Replay(log io.ReaderAt, opts Options, judge func(State) error) error {
	r, err := NewReader(log)
	if err != nil {
		return err
	}
	p := player{opts: opts, judge: judge, rng: rand.New(rand.NewPCG(opts.Seed, 0)), dev: crash.From(opts.Base.Clone())}
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return p.subsets()
		}
		if err == nil {
			err = p.play(e)
		}
		if err != nil {
			return fmt.Errorf("entry %d: %w", p.entry, err)
		}
		p.entry++
	}
}

// player replays entries onto a disk with a volatile cache.
type player struct {
	opts  Options
	judge func(State) error
	rng   *rand.Rand
	dev   *crash.Device
	entry int
	dirty bool // written since the last flush
}

func (p *player) play(e Entry) error {
	if e.Flags&FlagMark != 0 {
		return nil
	}
	if e.Flags&FlagFlush != 0 {
		if err := p.flush(); err != nil {
			return err
		}
	}
	if e.Length == 0 {
		return nil
	}
	p.dirty = true
	if e.Flags&FlagDiscard != 0 {
		return p.dev.Discard(e.Offset, e.Length)
	}
	_, err := p.dev.WriteAt(e.Data, e.Offset)
	return err
}

// flush judges what a power cut before the flush may leave, then what it leaves
// after. A FUA write is treated as any other: that only adds states.
func (p *player) flush() error {
	if !p.dirty {
		return nil
	}
	if err := p.subsets(); err != nil {
		return err
	}
	if err := p.dev.Flush(); err != nil {
		return err
	}
	p.dirty = false
	return p.judged(State{Device: p.dev.Snapshot(), Entry: p.entry})
}

func (p *player) subsets() error {
	for i := range p.opts.Subsets {
		m, err := p.dev.Sample(p.rng)
		if err != nil {
			return err
		}
		if err := p.judged(State{Device: m, Entry: p.entry, Subset: i + 1}); err != nil {
			return err
		}
	}
	return nil
}

func (p *player) judged(s State) error {
	if err := p.judge(s); err != nil {
		return fmt.Errorf("state after %d entries, subset %d of seed %d: %w", s.Entry, s.Subset, p.opts.Seed, err)
	}
	return nil
}
