package firewall

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// Reply is for how long after a datagram went out another may come back. RFC
	// 4787, 4.3, asks for two minutes at least.
	Reply = 3 * time.Minute

	// maxPeers is how many peers of datagrams are remembered.
	maxPeers = 16384
)

// Tracker remembers where datagrams went to.
type Tracker struct {
	now func() time.Duration // that never goes back

	mu    sync.Mutex
	peers map[exchange]time.Duration // when the last went out
}

// exchange is a port of the machine and a peer.
type exchange struct {
	own  uint16
	peer netip.AddrPort
}

// NewTracker makes one. now is a clock that never goes back; nil: package time's.
func NewTracker(now func() time.Duration) *Tracker {
	if now == nil {
		start := time.Now()
		now = func() time.Duration { return time.Since(start) }
	}
	return &Tracker{now: now, peers: map[exchange]time.Duration{}}
}

// sent notes a datagram that goes out.
func (t *Tracker) sent(p *packet) {
	x := exchange{p.source, netip.AddrPortFrom(p.to, p.target)}
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.peers[x]; !known && len(t.peers) >= maxPeers {
		t.makeRoom(now)
	}
	t.peers[x] = now
}

// makeRoom forgets what is too old, and a quarter of all if that was little.
func (t *Tracker) makeRoom(now time.Duration) {
	for x, at := range t.peers {
		if now-at > Reply {
			delete(t.peers, x)
		}
	}
	for x := range t.peers {
		if len(t.peers) <= maxPeers/4*3 {
			return
		}
		delete(t.peers, x)
	}
}

// replies reports whether a datagram that comes in is from where one went to.
func (t *Tracker) replies(p *packet) bool {
	x := exchange{p.target, netip.AddrPortFrom(p.from, p.source)}
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	at, known := t.peers[x]
	return known && now-at <= Reply
}
