package embedded

import "sync/atomic"

// guesses say where to look first for a row as it was at some version: in the
// present or in history. They are of keys of which a read of the past has found
// that the present row is later. A wrong guess costs time only.
//
//	 63                            12 11        0
//	├────────────────────────────────┼───────────┤
//	 since of the present row,        part of the
//	 as far as these bits go          key's hash
//
// A place has two of them, the newer first.
type guesses struct {
	places [][2]atomic.Uint64 // a power of two
	some   atomic.Bool        // whether there are any
	lean   atomic.Int32       // for keys that are not here: above 0 for history
}

const (
	guessShare = 512 // of the memory
	guessSize  = 16  // bytes of a place
	guessTag   = 1<<counterBits - 1
	maxLean    = 8
)

func (g *guesses) init(memory int) {
	n := 64
	for n*2*guessSize <= memory/guessShare {
		n *= 2
	}
	g.places = make([][2]atomic.Uint64, n)
}

// place is where the key with a hash is, and its part of that, which is not 0.
func (g *guesses) place(h uint64) (*[2]atomic.Uint64, uint64) {
	return &g.places[h&uint64(len(g.places)-1)], h>>(64-counterBits) | 1
}

// history tells whether to look there first for the key with a hash, at t.
func (g *guesses) history(hash uint64, t version) bool {
	p, tag := g.place(hash)
	for i := range p {
		if n := p[i].Load(); n&guessTag == tag {
			return version(n) > t
		}
	}
	return g.lean.Load() > 0
}

// later notes that the present row of key is from since, and later than what was
// read.
func (g *guesses) later(key []byte, since version) {
	p, tag := g.place(hash(key))
	n := uint64(since)&^guessTag | tag
	if old := p[0].Load(); old&guessTag != tag {
		p[1].Store(old)
	}
	p[0].Store(n)
	if !g.some.Load() {
		g.some.Store(true)
	}
	if l := g.lean.Load(); l < maxLean {
		g.lean.Store(l + 1)
	}
}

// same notes that a present row was old enough.
func (g *guesses) same() {
	if l := g.lean.Load(); l > -maxLean {
		g.lean.Store(l - 1)
	}
}
