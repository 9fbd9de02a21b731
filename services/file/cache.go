package file

import "sync"

// cache is a bounded map in shards, each with its own lock. What to give up
// is chosen by the clock algorithm: an entry that was used since the hand
// last passed it stays for another round.
type cache[K comparable, V any] struct {
	shards [cacheShards]shard[K, V]
	limit  int // cost that one shard may hold
}

const cacheShards = 16

type shard[K comparable, V any] struct {
	mu      sync.Mutex
	entries map[K]*cached[K, V]
	clock   []*cached[K, V]
	hand    int
	cost    int
}

type cached[K comparable, V any] struct {
	key   K
	value V
	cost  int
	place int // in clock
	used  bool
}

// newCache makes a cache whose entries cost no more than limit in sum.
func newCache[K comparable, V any](limit int) *cache[K, V] {
	c := &cache[K, V]{limit: max(limit/cacheShards, 1)}
	for i := range c.shards {
		c.shards[i].entries = map[K]*cached[K, V]{}
	}
	return c
}

// get finds the value. hash is any function of the key.
func (c *cache[K, V]) get(hash uint64, k K) (v V, ok bool) {
	s := &c.shards[hash%cacheShards]
	s.mu.Lock()
	e := s.entries[k]
	if e != nil {
		e.used = true
		v, ok = e.value, true
	}
	s.mu.Unlock()
	return v, ok
}

// put stores the value, in place of what was there, and evicts others if
// the shard became too dear.
func (c *cache[K, V]) put(hash uint64, k K, v V, cost int) {
	c.putIf(hash, k, v, cost, nil)
}

// putIf is put, if the condition holds where no other put comes in between; nil is
// one that does.
func (c *cache[K, V]) putIf(hash uint64, k K, v V, cost int, condition func() bool) {
	s := &c.shards[hash%cacheShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if condition != nil && !condition() {
		return
	}
	e := s.entries[k]
	if e == nil {
		e = &cached[K, V]{key: k, place: len(s.clock)}
		s.entries[k] = e
		s.clock = append(s.clock, e)
	}
	s.cost += cost - e.cost
	e.value, e.cost = v, cost
	for s.cost > c.limit && len(s.clock) > 1 {
		s.evict(e)
	}
}

// drop forgets the key.
func (c *cache[K, V]) drop(hash uint64, k K) {
	s := &c.shards[hash%cacheShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[k]; e != nil {
		s.remove(e)
	}
}

// dropAll forgets the keys that match, looking at all.
func (c *cache[K, V]) dropAll(match func(K) bool) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for k, e := range s.entries {
			if match(k) {
				s.remove(e)
			}
		}
		s.mu.Unlock()
	}
}

// clear forgets everything, however much that is.
func (c *cache[K, V]) clear() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.entries, s.clock, s.hand, s.cost = map[K]*cached[K, V]{}, nil, 0, 0
		s.mu.Unlock()
	}
}

// evict removes one entry other than keep.
func (s *shard[K, V]) evict(keep *cached[K, V]) {
	for {
		if s.hand >= len(s.clock) {
			s.hand = 0
		}
		e := s.clock[s.hand]
		if e != keep && !e.used {
			s.remove(e)
			return
		}
		e.used = false
		s.hand++
	}
}

func (s *shard[K, V]) remove(e *cached[K, V]) {
	delete(s.entries, e.key)
	s.cost -= e.cost
	last := len(s.clock) - 1
	moved := s.clock[last]
	s.clock[e.place], moved.place = moved, e.place
	s.clock[last] = nil
	s.clock = s.clock[:last]
}
