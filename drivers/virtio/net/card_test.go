package net

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/tuplix/tuplix/drivers/virtio"
	"github.com/tuplix/tuplix/drivers/virtio/internal/model"
)

const ring = virtio.FeatureVersion1 | virtio.FeatureIndirect | virtio.FeatureEventIndex

const everything = ring | featureChecksum | featureGuestChecksum | featureMTU | featureMAC | featureGuestTSO4 |
	featureGuestTSO6 | featureHostTSO4 | featureHostTSO6 | featureMergeable | featureStatus

// card is a network device in software: what is sent is kept, or comes back
// where loop is set.
type card struct {
	model.Device
	loop bool

	mu      sync.Mutex
	sent    [][]byte       // with headers
	hold    bool           // keep sent chains
	held    []*model.Chain //
	room    []*model.Chain // receive buffers
	changed sync.Cond      // room grew
}

func newCard(features uint64) *card {
	c := &card{}
	c.changed.L = &c.mu
	c.Machine = &model.Machine{}
	c.Type = virtio.IDNet
	c.Offered = features
	c.Vector = 3
	c.Max = 256
	c.Space = make([]byte, 12)
	copy(c.Space, []byte{0x52, 0x54, 0, 1, 2, 3})
	c.Space[configStatus] = linkUp
	binary.LittleEndian.PutUint16(c.Space[configMTU:], 1500)
	c.Handle = c.handle
	return c
}

func (c *card) open(t testing.TB) *Device {
	t.Helper()
	d, err := Open(&c.Device, c.Machine)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (c *card) handle(queue int, chain *model.Chain) (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if queue == queueRx {
		c.room = append(c.room, chain)
		c.changed.Broadcast()
		return 0, true
	}
	b := chain.Read()
	c.sent = append(c.sent, b)
	if c.loop {
		go c.deliver(b)
	}
	if c.hold {
		c.held = append(c.held, chain)
		return 0, true
	}
	return 0, false
}

// deliver puts a frame, header first, into as many receive buffers as it takes,
// waiting for them.
func (c *card) deliver(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := max(1, (len(b)+pageSize-1)/pageSize)
	for len(c.room) < n {
		c.changed.Wait()
	}
	chains := c.room[:n]
	c.room = c.room[n:]
	b = append([]byte(nil), b...)
	if len(b) >= headerSize {
		binary.LittleEndian.PutUint16(b[10:], uint16(n))
	}
	for _, chain := range chains {
		k := chain.Write(0, b)
		chain.Queue().Return(chain, k)
		b = b[k:]
	}
}

func (c *card) release() {
	c.mu.Lock()
	held := c.held
	c.held, c.hold = nil, false
	c.mu.Unlock()
	for _, chain := range held {
		chain.Queue().Return(chain, 0)
	}
}
