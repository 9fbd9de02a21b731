package embedded

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tuplix/tuplix/dbms/lsm"
)

// result is what a pass has brought about.
type result int

const (
	enough result = iota // there is room
	helped               // there is more, and another pass may bring more still
	inVain
)

// pass collects a share of the oldest history, if the device is to have more room,
// and has Pebble give back the space. Want is how many bytes must be free, for those
// who wait; 0 stands for what policy has as enough.
func (e *Engine) pass(want int64) (result, error) {
	if err := e.failed(); err != nil {
		return inVain, err
	}
	if want > 0 {
		e.kept.retire()
		e.kept.drop() // what idle iterators hold on to would be missing
	}
	free, p := e.room.free()
	goal := want
	if want == 0 {
		goal = p.enough
	}
	missing := func() bool { free, _ := e.room.free(); return free+e.coming(want > 0) < goal }
	if !missing() && (want > 0 || e.historySize() <= p.history) {
		return enough, e.awaitCleaning(goal, want > 0)
	}
	versions, err := e.collectEarly(want > 0, free < p.work+(p.least-p.work)/2)
	if err == nil {
		err = e.giveBack(versions, p.piece, want > 0, func() bool { return !missing() })
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = nil // counted; nothing was gained by it
	}
	if err == nil {
		err = e.awaitCleaning(goal, want > 0)
	}
	now, _ := e.room.free()
	switch {
	case err != nil:
		return inVain, err
	case now >= goal && (want > 0 || e.historySize() <= p.history):
		return enough, nil
	case versions > 0 || now-free >= max(p.total/512, blockSize):
		return helped, nil
	}
	return inVain, nil
}

// coming is how many bytes are on their way back: of files that are about to be
// removed, and, for who has time, of those that a view still reads.
func (e *Engine) coming(hurried bool) int64 {
	m := e.db.Metrics()
	n := m.Table.ObsoleteSize + m.BlobFiles.ObsoleteSize
	if !hurried {
		n += m.Table.ZombieSize + m.BlobFiles.ZombieSize
	}
	return int64(n)
}

// awaitCleaning waits, for who is in a hurry, until the tables that are about to be
// removed are, or so much is free. Pebble does not tell when the last one is gone,
// hence the timer.
func (e *Engine) awaitCleaning(goal int64, hurried bool) error {
	for hurried {
		changed := e.maker.changes()
		if free, _ := e.room.free(); free >= goal || e.coming(true) == 0 {
			return nil
		}
		t := time.NewTimer(cleaningPoll)
		select {
		case <-changed:
		case <-t.C:
		case <-e.background.ctx.Done():
			t.Stop()
			return e.background.ctx.Err()
		}
		t.Stop()
	}
	return nil
}

const cleaningPoll = 5 * time.Millisecond

// historySize is how many bytes history takes on the device.
func (e *Engine) historySize() int64 {
	n, err := lsm.Size(e.db, []byte{prefixHistory}, []byte{prefixHistory + 1})
	if err != nil {
		return 0 // not to be read: whoever needs it will say so
	}
	return n + e.bundles.size.Load()
}

// earlyTries is how many shares of the time, rather than of the history that is
// known of, are tried before all goes that may.
const earlyTries = 4

// collectEarly removes what is beyond retention and, of the rest, a share of the
// oldest, or all of it. It returns the number of versions.
func (e *Engine) collectEarly(hurried, all bool) (int64, error) {
	e.background.turn.Lock()
	defer e.background.turn.Unlock()
	c := collection{e: e, ctx: e.background.ctx, pace: e.hurriedPace(), early: earlyShare, hurried: hurried}
	if hurried {
		c.early = hurriedPart
	}
	defer func() {
		e.counters.collect(c.done)
		e.maker.count.early.Add(c.done.Versions)
	}()
	if !all {
		if err := e.repairAll(c.ctx, c.pace); err != nil {
			return 0, err
		}
	}
	for try := 0; c.done.Versions == 0; try++ {
		if try == earlyTries || all {
			c.early = 1
		}
		if err := c.run(); err != nil || c.early == 1 {
			return c.done.Versions, err
		}
	}
	return c.done.Versions, nil
}

// hurriedPace rests as long as it works, and not at all while somebody waits for
// room.
func (e *Engine) hurriedPace() pace { return pace{share: hurriedShare, hurry: &e.maker.hurrying} }

// How often Pebble may fail for want of room while it is to give some back. A flush it
// tries again for ever, and until that has succeeded nothing is compacted. After a
// compaction of its own choice it leaves the tables alone for a while, those of the first
// level excepted, and only then comes to what it was told to do.
const (
	maxFlushFailures      = 5
	maxCompactionFailures = 50
)

// failedForRoom counts failures, and ends the wait for room when there are too many.
func (m *maker) failedForRoom(failures *atomic.Int64, most int64) {
	if giveUp := m.giveUp.Load(); failures.Add(1) >= most && giveUp != nil {
		(*giveUp)(syscall.ENOSPC)
	}
}

// giveBack has Pebble rewrite the tables with what was collected or, where that is
// nothing and somebody waits, all of them.
func (e *Engine) giveBack(versions, piece int64, hurried bool, enough func() bool) error {
	low, high := []byte{prefixHistory}, []byte{prefixHistory + 1}
	switch {
	case versions > 0:
	case hurried:
		low, high = []byte{0}, []byte{0xff}
	default:
		return nil
	}
	ctx, giveUp := context.WithCancelCause(e.background.ctx)
	defer giveUp(nil)
	e.maker.flushesFailed.Store(0)
	e.maker.compactionsFailed.Store(0)
	e.maker.giveUp.Store(&giveUp)
	defer e.maker.giveUp.Store(nil)
	return e.guard(func() error { return e.compactor.Compact(ctx, e.db, low, high, piece, enough) })
}
