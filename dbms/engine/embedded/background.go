package embedded

import (
	"context"
	"sync"
	"time"
)

// background is the goroutine that repairs behind restores and collects what is
// beyond retention. It works in short steps and rests in between, so that
// transactions wait for it little and seldom.
type background struct {
	turn   sync.Mutex // held by who repairs and collects
	kick   chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
}

const (
	restShare    = 8 // it rests so many times as long as it works
	hurriedShare = 1 // and so many times if somebody waits for it
)

func (b *background) init() {
	b.kick = make(chan struct{}, 1)
	b.ctx, b.cancel = context.WithCancel(context.Background())
}

func (b *background) start(e *Engine) {
	b.done = make(chan struct{})
	go b.run(e)
}

// wake has it look for restores.
func (b *background) wake() {
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

func (b *background) stop() {
	b.cancel() // ends the passes that make room, too
	if b.done != nil {
		<-b.done
	}
}

func (b *background) run(e *Engine) {
	defer close(b.done)
	b.wake() // there may be restores from before
	e.lookAtRoom()
	every := time.NewTicker(e.opts.CollectEvery)
	defer every.Stop()
	for {
		var err error
		select {
		case <-b.ctx.Done():
			return
		case <-b.kick:
			err = b.repair(e)
		case <-every.C:
			_, err = e.collect(b.ctx, pace{share: restShare, hurry: &e.maker.hurrying})
			e.lookAtRoom()
		}
		if err != nil && b.ctx.Err() == nil {
			e.opts.Log("store: repair and collection: %v", err)
		}
	}
}

// lookAtRoom has history collected early if that is due.
func (e *Engine) lookAtRoom() {
	if free, p := e.room.free(); free < p.low || e.historySize() > p.history {
		e.maker.early(e)
	}
}

func (b *background) repair(e *Engine) error {
	b.turn.Lock()
	defer b.turn.Unlock()
	return e.repairAll(b.ctx, pace{share: restShare, hurry: &e.maker.hurrying})
}
