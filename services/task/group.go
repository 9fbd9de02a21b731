package task

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// A procedure costs about as much as a dozen of the rows that it writes. So calls
// that wait at the same moment are parts of one procedure: the first of them leads
// and runs it for all; while it waits for the disk, the first of those who have
// come since leads the next.
//
//	do ---> queue ---(leader)---> one Update: parts, then assign to idle workers
//	                                 |
//	                next leader <----+----> answers ----> sync, then answers to those
//	                                                      who want it on the disk, or
//	                                                      wait for tasks that ended
//
// Parts of one procedure have the same user, who is its provenance.
type group struct {
	s *Service

	mu      sync.Mutex
	queue   []*request
	leading bool
	closed  bool
	idle    []*claimer // those for whom there was no task, first come first

	// The leader's.
	proc    proc
	deliver []func()  // hands tasks to workers, when they may begin
	woken   []*waiter // whose tasks have ended
}

// mostParts bounds one procedure: others wait for it.
const mostParts = 512

// request is a part of a procedure.
type request struct {
	caller  user.Caller
	name    string
	durable bool              // answer when it is
	ends    bool              // it frees places: it goes before those that fill them
	part    func(*proc) error // it refuses before it writes anything

	err   error
	turn  chan turn
	flush *flushing // if it is this request's turn to flush
}

// turn is what somebody who waits has to do.
type turn uint8

const (
	answered turn = iota // go on with err
	toLead               // run the next procedure
	toFlush              // wait for the disk on behalf of the others
)

// flushing is a procedure that is to become durable.
type flushing struct {
	version engine.Version
	parts   []*request // who wait for that
	deliver []func()   // what is done then
	waiters []*waiter  // whose tasks have ended by it
}

// do runs a part, in a procedure with others.
func (g *group) do(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.turn = make(chan turn, 1)
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return ErrClosed
	}
	if at := min(len(g.queue), 1); r.ends { // the first may have been told to lead
		g.queue = slices.Insert(g.queue, at, r)
	} else {
		g.queue = append(g.queue, r)
	}
	follow := g.leading
	g.leading = true
	g.mu.Unlock()
	if follow {
		switch <-r.turn {
		case answered:
			return r.err
		case toFlush:
			g.flush(r.flush, r)
			return r.err
		}
	}
	runtime.Gosched() // let those who are about to call come along
	parts := g.take()
	v := g.lead(parts)
	f := &flushing{version: v, deliver: g.deliver, waiters: g.woken}
	g.deliver, g.woken = nil, nil
	g.pass()
	if g.answer(r, parts, f) {
		g.flush(f, r)
	}
	return r.err
}

// answer answers those who need not wait for the disk, and has one of the others see
// to the flush; it reports whether that is the leader.
func (g *group) answer(leader *request, parts []*request, f *flushing) bool {
	f.parts = make([]*request, 0, len(parts))
	for _, p := range parts {
		switch {
		case p.durable && p.err == nil && f.version != "":
			f.parts = append(f.parts, p)
		case p != leader:
			p.turn <- answered
		}
	}
	switch {
	case slices.Contains(f.parts, leader), len(f.parts) == 0 && len(f.deliver) > 0:
		return true
	case len(f.parts) > 0:
		f.parts[0].flush = f
		f.parts[0].turn <- toFlush
		return false
	}
	return len(f.waiters) > 0 && !slices.ContainsFunc(f.waiters, func(w *waiter) bool { return g.s.waiters.hand(w, f) })
}

// flush waits for the disk for all who want to, and answers the others. r is the
// caller's own part, if it has one.
func (g *group) flush(f *flushing, r *request) {
	var err error
	if f.version != "" {
		err = g.s.store.Engine().Sync(context.Background(), f.version)
	}
	for _, hand := range f.deliver {
		hand()
	}
	for _, p := range f.parts {
		if err != nil {
			p.err = err
		}
		if p != r {
			p.turn <- answered
		}
	}
	for _, w := range f.waiters {
		g.s.waiters.release(w, err)
	}
}

// lead runs the parts together, or if one fails halfway each alone.
func (g *group) lead(parts []*request) (v engine.Version) {
	v, err := g.run(parts)
	if err == nil {
		return v
	}
	if len(parts) == 1 {
		parts[0].err = err
		return ""
	}
	for _, r := range parts {
		one, err := g.run([]*request{r})
		if err != nil {
			r.err = err
			g.s.doubt()
			continue
		}
		v = one // and r.err is what the part said
	}
	return v
}

// take removes the next parts from the queue. The first is the leader's.
func (g *group) take() []*request {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 1
	for n < len(g.queue) && n < mostParts && g.queue[n].caller.User == g.queue[0].caller.User {
		n++
	}
	parts := slices.Clone(g.queue[:n])
	g.queue = slices.Delete(g.queue, 0, n)
	return parts
}

// pass has the next leader begin.
func (g *group) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) > 0 {
		g.queue[0].turn <- toLead
	} else {
		g.leading = false
	}
}

// run runs parts as one procedure.
func (g *group) run(parts []*request) (v engine.Version, err error) {
	p := &g.proc
	runs := 0
	g.mu.Lock()
	closed := g.closed
	idle := slices.DeleteFunc(slices.Clone(g.idle), func(c *claimer) bool { return c.caller.User != parts[0].caller.User })
	g.mu.Unlock()
	if closed {
		return "", ErrClosed
	}
	v, err = g.s.store.Update(context.Background(), opOf(parts), func(tx *table.Tx) error {
		if runs++; runs > 1 {
			g.s.doubt()
		}
		p.begin(g.s, tx, parts[0].caller)
		for _, r := range parts {
			p.caller, p.wrote = r.caller, false
			if r.err = r.part(p); r.err != nil && p.wrote {
				return r.err
			}
		}
		p.caller = parts[0].caller
		if p.readied {
			p.claimers = append(p.claimers, idle...)
		}
		if err := p.assign(); err != nil {
			return err
		}
		return p.flush()
	})
	if err != nil {
		g.s.doubt()
		for _, c := range p.claimers {
			c.got = nil
		}
		p.claimers = p.claimers[:0]
		return "", err
	}
	g.woken = append(g.woken, g.settle(p)...)
	hand := p.deliver()
	if p.mustSync {
		g.deliver = append(g.deliver, hand)
		for _, r := range parts {
			r.durable = true
		}
	} else {
		hand()
	}
	return v, nil
}

// settle does what follows a procedure's commit. It returns those who are to be told
// that their tasks have ended, when that is durable.
func (g *group) settle(p *proc) (woken []*waiter) {
	g.s.tally.add(p)
	g.mu.Lock()
	for _, c := range p.claimers {
		i := slices.Index(g.idle, c)
		switch {
		case (len(c.got) == 0 || c.standing) && i < 0 && !c.gone && !c.once && c.err == nil:
			g.idle = append(g.idle, c)
		case (len(c.got) > 0 && !c.standing || c.err != nil) && i >= 0:
			g.idle = slices.Delete(g.idle, i, i+1)
		}
	}
	others := p.readied && slices.ContainsFunc(g.idle, func(c *claimer) bool { return c.caller.User != p.caller.User })
	g.mu.Unlock()
	if others {
		g.s.ended.Go(g.s.dispatch)
	}
	if !p.earliest.IsZero() {
		g.s.timer.earlier(p.earliest)
	}
	for _, l := range p.stopping {
		g.s.runs.stop(l)
	}
	for i := range p.finished {
		if w := g.s.waiters.take(&p.finished[i]); w != nil {
			woken = append(woken, w)
		}
	}
	if g.s.sweeper.count(len(p.finished)) {
		g.s.timer.look()
	}
	return woken
}

// leave takes a claimer that waits no longer out of those that do.
func (g *group) leave(c *claimer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.gone = true
	if i := slices.Index(g.idle, c); i >= 0 {
		g.idle = slices.Delete(g.idle, i, i+1)
	}
}

// close sends idle workers away and refuses all later calls.
func (g *group) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for _, c := range g.idle {
		c.answer(nil, ErrClosed)
	}
	g.idle = nil
}

// users returns those for whom idle workers wait.
func (g *group) users() []user.Caller {
	g.mu.Lock()
	defer g.mu.Unlock()
	var list []user.Caller
	for _, c := range g.idle {
		if !slices.ContainsFunc(list, func(u user.Caller) bool { return u.User == c.caller.User }) {
			list = append(list, c.caller)
		}
	}
	return list
}

// opOf is the provenance of a procedure: what its parts agree in.
func opOf(parts []*request) *engine.Op {
	c, name := parts[0].caller, parts[0].name
	for _, r := range parts[1:] {
		if r.caller.Program != c.Program {
			c.Program = system.Program
		}
		if r.caller.Task != c.Task {
			c.Task = ""
		}
		if r.name != name {
			name = "task.Dispatch"
		}
	}
	op := c.Op(name)
	op.NoWait = true
	return op
}
