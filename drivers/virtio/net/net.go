package net

import (
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/tuplix/tuplix/drivers/mmio"
	"github.com/tuplix/tuplix/drivers/virtio"
)

const (
	queueRx = 0
	queueTx = 1

	queueSize = 256 // descriptors of each ring

	ethernet   = 14 // bytes of an Ethernet header
	defaultMTU = 1500
	minMTU     = 68
	maxFrame   = 1<<16 + ethernet + 4 // a GSO packet with its Ethernet and VLAN headers
)

// Device is a virtio network device. Its methods are safe for concurrent use.
type Device struct {
	dev      *virtio.Device
	mac      [6]byte
	mtu      int
	offloads Offloads
	tx       transmitter
	rx       receiver
	dropped  atomic.Uint64
}

// Offloads are what the device does for the stack.
type Offloads struct {
	TxChecksum bool // takes FlagNeedsChecksum
	TSO4, TSO6 bool // takes GSOTCPv4, GSOTCPv6
	RxChecksum bool // delivers FlagNeedsChecksum and FlagDataValid
	RxGRO      bool // delivers GSOTCPv4 and GSOTCPv6
}

// Open starts the network device behind t.
func Open(t virtio.Transport, m virtio.Machine) (*Device, error) {
	dev, err := virtio.Open(t, m, virtio.Options{Type: virtio.IDNet, Features: features(t.Features()), Queues: 2})
	if err != nil {
		return nil, err
	}
	d := &Device{dev: dev}
	if err := d.start(); err != nil {
		dev.Fail(err)
		return nil, err
	}
	return d, nil
}

// features chooses from what is offered. Cutting and joining of segments
// depends on checksum offload, and joined segments need mergeable buffers,
// since the ring is of single pages.
func features(offered uint64) uint64 {
	f := offered & (featureChecksum | featureGuestChecksum | featureMTU | featureMAC | featureMergeable | featureStatus)
	if f&featureChecksum != 0 {
		f |= offered & (featureHostTSO4 | featureHostTSO6)
	}
	if f&featureGuestChecksum != 0 && f&featureMergeable != 0 {
		f |= offered & (featureGuestTSO4 | featureGuestTSO6)
	}
	return f
}

func (d *Device) start() error {
	d.offloads = Offloads{
		TxChecksum: d.dev.Has(featureChecksum),
		TSO4:       d.dev.Has(featureHostTSO4),
		TSO6:       d.dev.Has(featureHostTSO6),
		RxChecksum: d.dev.Has(featureGuestChecksum),
		RxGRO:      d.dev.Has(featureGuestTSO4) || d.dev.Has(featureGuestTSO6),
	}
	if err := d.readConfig(); err != nil {
		return err
	}
	if err := d.rx.open(d); err != nil {
		return err
	}
	if err := d.tx.open(d); err != nil {
		return err
	}
	d.dev.Start()
	d.rx.refill()
	if d.rx.queue.InFlight() == 0 {
		return fmt.Errorf("virtio-net: no memory for receive buffers: %w", syscall.ENOMEM)
	}
	go d.tx.serve()
	return nil
}

func (d *Device) readConfig() error {
	mtu := uint16(defaultMTU)
	err := d.dev.Config(d.configLen(), func(r mmio.Registers) {
		if d.dev.Has(featureMAC) {
			for i := range d.mac {
				d.mac[i] = r.Read8(configMAC + i)
			}
		}
		if d.dev.Has(featureMTU) {
			mtu = r.Read16(configMTU)
		}
	})
	if err != nil {
		return err
	}
	return d.setAddress(int(mtu))
}

func (d *Device) configLen() int {
	switch {
	case d.dev.Has(featureMTU):
		return configMTU + 2
	case d.dev.Has(featureStatus):
		return configStatus + 2
	case d.dev.Has(featureMAC):
		return configMAC + 6
	}
	return 0
}

func (d *Device) setAddress(mtu int) error {
	if mtu < minMTU {
		return fmt.Errorf("virtio-net: MTU of %d", mtu)
	}
	if !d.dev.Has(featureMergeable) && mtu+headerSize+ethernet+4 > pageSize {
		return fmt.Errorf("virtio-net: MTU of %d needs mergeable receive buffers, which the device lacks", mtu)
	}
	d.mtu = mtu
	if d.mac == [6]byte{} {
		rand.Read(d.mac[:])
		d.mac[0] = d.mac[0]&^1 | 2 // one station, locally administered
	}
	if d.mac[0]&1 != 0 {
		return fmt.Errorf("virtio-net: address %x is a group's", d.mac)
	}
	return nil
}

// MAC returns the device's Ethernet address; a random one if it has none.
func (d *Device) MAC() [6]byte { return d.mac }

// MTU returns the most bytes of a packet, without the Ethernet header; at least
// 68.
func (d *Device) MTU() int { return d.mtu }

// Offloads returns what the device does for the stack.
func (d *Device) Offloads() Offloads { return d.offloads }

// Dropped returns how many received frames were dropped for an impossible
// header.
func (d *Device) Dropped() uint64 { return d.dropped.Load() }

// Err returns why the device failed for good, or nil.
func (d *Device) Err() error { return d.dev.Err() }

// LinkUp reports whether the link is up; always, if the device does not say.
func (d *Device) LinkUp() bool {
	if !d.dev.Has(featureStatus) {
		return d.dev.Err() == nil
	}
	var status uint16
	err := d.dev.Config(configStatus+2, func(r mmio.Registers) { status = r.Read16(configStatus) })
	return err == nil && d.dev.Err() == nil && status&linkUp != 0
}

// WatchLink calls changed with the state of the link, at once and after each
// change, until the device fails. One goroutine may.
func (d *Device) WatchLink(changed func(up bool)) error {
	up := d.LinkUp()
	changed(up)
	w := d.dev.ConfigWaiter()
	for {
		if err := w.Wait(func() bool { return d.LinkUp() != up }); err != nil {
			return err
		}
		up = !up
		changed(up)
	}
}
