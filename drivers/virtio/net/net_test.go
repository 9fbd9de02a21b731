package net

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tuplix/tuplix/drivers/virtio"
	"github.com/tuplix/tuplix/drivers/virtio/internal/model"
)

func frame(seed, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(seed + i*7 + i>>8)
	}
	return b
}

// send queues a frame and sends it.
func (d *Device) send(h Header, parts [][]byte, done func()) error {
	err := d.Transmit(h, parts, true, done)
	d.Flush()
	return err
}

func join(parts [][]byte) []byte { return bytes.Join(parts, nil) }

func TestProperties(t *testing.T) {
	d := newCard(everything).open(t)
	if d.MAC() != [6]byte{0x52, 0x54, 0, 1, 2, 3} || d.MTU() != 1500 || !d.LinkUp() {
		t.Errorf("%x, MTU %d, up %v", d.MAC(), d.MTU(), d.LinkUp())
	}
	if want := (Offloads{true, true, true, true, true}); d.Offloads() != want {
		t.Errorf("%+v", d.Offloads())
	}
	d = newCard(virtio.FeatureVersion1).open(t)
	if m := d.MAC(); m[0]&3 != 2 || d.MTU() != 1500 || !d.LinkUp() || d.Offloads() != (Offloads{}) {
		t.Errorf("without features: %x, MTU %d, %+v", m, d.MTU(), d.Offloads())
	}
}

// TestFeatures checks that offloads are taken only with what they rest on.
func TestFeatures(t *testing.T) {
	for offered, want := range map[uint64]uint64{
		featureHostTSO4:                         0,
		featureGuestTSO4:                        0,
		featureGuestTSO4 | featureGuestChecksum: featureGuestChecksum,
		featureGuestTSO6 | featureGuestChecksum | featureMergeable: featureGuestTSO6 | featureGuestChecksum | featureMergeable,
		featureHostTSO4 | featureChecksum | 1<<17:                  featureHostTSO4 | featureChecksum,
	} {
		if got := features(offered); got != want {
			t.Errorf("of %#x: %#x, want %#x", offered, got, want)
		}
	}
}

func TestTransmit(t *testing.T) {
	c := newCard(everything)
	d := c.open(t)
	h := Header{Flags: FlagNeedsChecksum, GSOType: GSOTCPv4, HeaderLen: 54, GSOSize: 1448, ChecksumStart: 34, ChecksumOffset: 16}
	big := frame(1, 60000)
	done := make(chan struct{})
	if err := d.send(h, [][]byte{big[:14], big[14:54], big[54:]}, func() { close(done) }); err != nil {
		t.Fatal(err)
	}
	<-done
	want := make([]byte, headerSize)
	h.put(want)
	if got := c.sent[0]; !bytes.Equal(got[:headerSize], want) || !bytes.Equal(got[headerSize:], big) {
		t.Errorf("sent %x...", got[:20])
	}
}

func TestTransmitRefused(t *testing.T) {
	d := newCard(ring | featureChecksum).open(t)
	fine := [][]byte{frame(1, 100)}
	for name, c := range map[string]struct {
		h     Header
		parts [][]byte
		want  error
	}{
		"GSO":      {Header{Flags: 1, GSOType: GSOTCPv4, GSOSize: 1000}, fine, syscall.EINVAL},
		"checksum": {Header{Flags: 1, ChecksumStart: 90, ChecksumOffset: 9}, fine, syscall.EINVAL},
		"short":    {Header{}, [][]byte{frame(1, 13)}, syscall.EMSGSIZE},
		"long":     {Header{}, [][]byte{frame(1, maxFrame+1)}, syscall.EMSGSIZE},
		"parts":    {Header{}, shred(frame(1, 3000)), syscall.EMSGSIZE},
	} {
		if err := d.Transmit(c.h, c.parts, true, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := d.Transmit(Header{Flags: 1, ChecksumStart: 90, ChecksumOffset: 8}, fine, true, nil); err != nil {
		t.Error(err)
	}
}

// shred cuts b so that no two parts can be adjacent in memory.
func shred(b []byte) (parts [][]byte) {
	for i := 0; i+1 < len(b); i += 2 {
		parts = append(parts, b[i:i+1])
	}
	return parts
}

// TestTransmitBlocks fills the ring: the sender sleeps until the device goes on.
func TestTransmitBlocks(t *testing.T) {
	c := newCard(everything)
	c.hold = true
	d := c.open(t)
	var done atomic.Int64
	const frames = 1000
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for i := range frames {
			if err := d.Transmit(Header{}, [][]byte{frame(i, 60)}, true, func() { done.Add(1) }); err != nil {
				t.Error(err)
			}
		}
		d.Flush()
	}()
	for full := false; !full; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		full = len(c.held) == d.tx.queue.Size()
		c.mu.Unlock()
	}
	if n := done.Load(); n != 0 {
		t.Errorf("%d frames done that the device holds", n)
	}
	c.release()
	<-finished
	for done.Load() != frames {
		time.Sleep(time.Millisecond)
	}
	if n := c.Machine.Interrupts(); n > frames/4 {
		t.Errorf("%d interrupts for %d frames", n, frames)
	}
}

// TestTransmitQuietly sends frames of which nobody is waiting to hear: they raise
// no interrupt, and are done with the next frame, or the next of which somebody
// is.
func TestTransmitQuietly(t *testing.T) {
	c := newCard(everything)
	d := c.open(t)
	var done atomic.Int64
	transmit := func(prompt bool) {
		t.Helper()
		if err := d.Transmit(Header{}, [][]byte{frame(1, 60)}, prompt, func() { done.Add(1) }); err != nil {
			t.Fatal(err)
		}
		d.Flush()
	}
	sent := func(n int) {
		for all := false; !all; time.Sleep(time.Millisecond) {
			c.mu.Lock()
			all = len(c.sent) == n
			c.mu.Unlock()
		}
	}
	before := c.Machine.Interrupts()
	const quiet = 20
	for i := range quiet {
		transmit(false)
		sent(i + 1)
	}
	if n := c.Machine.Interrupts() - before; n > 1 { // the event is at its start only until the first Flush
		t.Errorf("%d interrupts for frames that need none", n)
	}
	if n := done.Load(); n < quiet-2 {
		t.Errorf("%d of %d frames are done after the last was sent", n, quiet)
	}
	transmit(true)
	for done.Load() != quiet+1 {
		time.Sleep(time.Millisecond)
	}
}

// TestLoop sends frames of many sizes from several goroutines and receives them
// back.
func TestLoop(t *testing.T) {
	for _, vectors := range []int{1, 3} {
		t.Run(fmt.Sprint(vectors), func(t *testing.T) { testLoop(t, vectors) })
	}
}

func testLoop(t *testing.T, vectors int) {
	c := newCard(everything)
	c.loop, c.Vector = true, vectors
	d := c.open(t)
	const senders, frames = 4, 100
	sizes := []int{14, 60, 1514, 4084, 4085, 9000, 65000}
	got := make(chan []byte, senders*frames)
	go d.Receive(func(f *Frame) { got <- join(f.Parts) }, nothing)
	want := map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range frames {
				b := frame(s*frames+i, sizes[i%len(sizes)])
				mu.Lock()
				want[string(b)]++
				mu.Unlock()
				if err := d.send(Header{}, [][]byte{b[:14], b[14:]}, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for range senders * frames {
		b := string(<-got)
		mu.Lock()
		if want[b]--; want[b] < 0 {
			t.Errorf("a frame of %d bytes was not sent", len(b))
		}
		mu.Unlock()
	}
}

func nothing() {}

// TestBatches sends bursts of frames: what is lent stays as it is until the end
// of its batch, a batch has an end, and the pages do not become more.
func TestBatches(t *testing.T) {
	c := newCard(everything)
	d := c.open(t)
	var lent []*Frame
	var seeds []int
	type result struct{ frames, wrong int }
	batches := make(chan result, 10000)
	go d.Receive(func(f *Frame) {
		lent = append(lent, f)
		seeds = append(seeds, int(f.Parts[0][0]))
	}, func() {
		r := result{frames: len(lent)}
		for i, f := range lent {
			if !bytes.Equal(join(f.Parts), frame(seeds[i], 5000)) {
				r.wrong++
			}
		}
		lent, seeds = lent[:0], seeds[:0]
		batches <- r
	})
	const frames = 1000
	go func() {
		for i := range frames {
			c.deliver(append(make([]byte, headerSize), frame(i&0xff, 5000)...))
		}
	}()
	for got := 0; got < frames; {
		r := <-batches
		got += r.frames
		if r.frames > batch || r.wrong > 0 {
			t.Errorf("a batch of %d frames, %d of them changed", r.frames, r.wrong)
		}
	}
	d.dev.Fail(errors.New("end"))
	if d.rx.allocated > d.rx.queue.Size()+batch+pagesAtOnce {
		t.Errorf("%d pages for a ring of %d", d.rx.allocated, d.rx.queue.Size())
	}
}

// TestQueued checks that frames go out with Flush, all with one notification.
func TestQueued(t *testing.T) {
	c := newCard(everything)
	d := c.open(t)
	var done sync.WaitGroup
	for i := range 10 {
		done.Add(1)
		if err := d.Transmit(Header{}, [][]byte{frame(i, 60)}, true, done.Done); err != nil {
			t.Fatal(err)
		}
	}
	c.mu.Lock()
	if n := len(c.sent); n != 0 {
		t.Errorf("%d frames sent before Flush", n)
	}
	c.mu.Unlock()
	d.Flush()
	done.Wait()
	if n := len(c.sent); n != 10 {
		t.Errorf("%d frames sent", n)
	}
}

func TestNoHeader(t *testing.T) {
	c := newCard(everything)
	d := c.open(t)
	go d.Receive(func(*Frame) {}, nothing)
	c.deliver(frame(0, 100)[:0:0])
	if err := waitErr(d); err == nil {
		t.Error("a buffer without a header is accepted")
	}
}

func waitErr(d *Device) error {
	for i := 0; i < 5000 && d.Err() == nil; i++ {
		time.Sleep(time.Millisecond)
	}
	return d.Err()
}

// TestBadFrames are frames with impossible headers: dropped, while the device
// goes on.
func TestBadFrames(t *testing.T) {
	c := newCard(everything)
	d := c.open(t)
	frames := make(chan Frame, 10)
	go d.Receive(func(f *Frame) { frames <- Frame{Header: f.Header, Parts: [][]byte{join(f.Parts)}} }, nothing)
	for _, h := range []Header{
		{Flags: FlagNeedsChecksum, ChecksumStart: 99, ChecksumOffset: 0},
		{Flags: FlagNeedsChecksum, ChecksumStart: 0xffff, ChecksumOffset: 0xffff},
		{GSOType: 3, GSOSize: 100, Flags: FlagNeedsChecksum},
		{GSOType: GSOTCPv4, Flags: FlagNeedsChecksum},
		{GSOType: GSOTCPv6, GSOSize: 1000},
	} {
		b := append(make([]byte, headerSize), frame(1, 100)...)
		h.put(b)
		c.deliver(b)
	}
	c.deliver(make([]byte, headerSize+13))
	good := append(make([]byte, headerSize), frame(7, 100)...)
	Header{Flags: FlagNeedsChecksum, GSOType: GSOTCPv6, GSOSize: 40, ChecksumStart: 54, ChecksumOffset: 16}.put(good)
	c.deliver(good)
	f := <-frames
	if !bytes.Equal(join(f.Parts), good[headerSize:]) || f.Header.GSOSize != 40 || f.Header.ChecksumStart != 54 {
		t.Errorf("%+v", f.Header)
	}
	if d.Dropped() != 6 {
		t.Errorf("%d dropped", d.Dropped())
	}
}

// TestHostile breaks the device under load: all that wait are told.
func TestHostile(t *testing.T) {
	for name, lie := range map[string]func(c *card){
		"buffers": func(c *card) {
			b := make([]byte, headerSize+100)
			c.mu.Lock()
			chain := c.room[0]
			c.mu.Unlock()
			binary.LittleEndian.PutUint16(b[10:], 60000)
			chain.Queue().Return(chain, chain.Write(0, b))
		},
		"rx index": func(c *card) { c.Queue(queueRx).Lie(0, 0, 1000) },
		"tx index": func(c *card) { c.Queue(queueTx).Lie(0, 0, 1000) },
		"tx wrote": func(c *card) { c.Queue(queueTx).Lie(uint32(c.held[0].Head), 1, 1) },
	} {
		for _, vectors := range []int{1, 3} {
			t.Run(fmt.Sprint(name, vectors), func(t *testing.T) { testHostile(t, lie, vectors) })
		}
	}
}

func testHostile(t *testing.T, lie func(c *card), vectors int) {
	c := newCard(everything)
	c.hold, c.Vector = true, vectors
	d := c.open(t)
	received := make(chan error, 1)
	go func() { received <- d.Receive(func(*Frame) {}, nothing) }()
	var done atomic.Int64
	sent, failed := int64(0), make(chan error, 1)
	go func() {
		for {
			if err := d.send(Header{}, [][]byte{frame(1, 60)}, func() { done.Add(1) }); err != nil {
				failed <- err
				return
			}
			sent++
		}
	}()
	for full := false; !full; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		full = len(c.held) == d.tx.queue.Size() && len(c.room) > 0
		c.mu.Unlock()
	}
	lie(c)
	for _, ch := range []chan error{received, failed} {
		if err := <-ch; !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
	}
	for start := time.Now(); done.Load() != sent; time.Sleep(time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("%d of %d frames done", done.Load(), sent)
		}
	}
}

func TestLink(t *testing.T) {
	for _, vectors := range []int{1, 3} {
		c := newCard(everything)
		c.Vector = vectors
		d := c.open(t)
		states := make(chan bool, 10)
		ended := make(chan error)
		go func() { ended <- d.WatchLink(func(up bool) { states <- up }) }()
		for _, want := range []bool{true, false, true} {
			if got := <-states; got != want {
				t.Errorf("link up: %v", got)
			}
			c.ChangeConfig(func(b []byte) { b[configStatus] ^= linkUp })
		}
		d.dev.Fail(errors.New("enough"))
		if err := <-ended; err == nil {
			t.Error("watching a dead link")
		}
	}
}

func TestBadConfig(t *testing.T) {
	for name, change := range map[string]func(c *card){
		"MTU": func(c *card) { binary.LittleEndian.PutUint16(c.Space[configMTU:], 20) },
		"jumbo": func(c *card) {
			c.Offered &^= featureMergeable
			binary.LittleEndian.PutUint16(c.Space[configMTU:], 9000)
		},
		"group":    func(c *card) { c.Space[0] |= 1 },
		"short":    func(c *card) { c.Space = c.Space[:8] },
		"no queue": func(c *card) { c.Max = 1 },
		"memory":   func(c *card) { c.Machine.Limit(40000) },
	} {
		c := newCard(everything)
		change(c)
		if _, err := Open(&c.Device, c.Machine); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// FuzzReceive lets the device write any bytes into receive buffers.
func FuzzReceive(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, uint8(1))
	f.Add([]byte{1, 1, 54, 0, 200, 5, 34, 0, 16, 0, 2, 0}, uint8(2))
	f.Fuzz(func(t *testing.T, b []byte, pages uint8) {
		c := newCard(everything)
		c.Max = 16
		d := c.open(t)
		frames, ended := 0, make(chan struct{})
		go func() {
			defer close(ended)
			d.Receive(func(f *Frame) {
				frames++
				size := len(join(f.Parts))
				if err := f.Header.check(size, true, true, true); err != nil || size < ethernet {
					t.Errorf("frame of %d bytes with %+v: %v", size, f.Header, err)
				}
			}, nothing)
		}()
		c.write(b, int(pages%16)+1)
		d.dev.Fail(errors.New("end"))
		<-ended
	})
}

// write returns n receive buffers, each with the start of b.
func (c *card) write(b []byte, n int) {
	c.mu.Lock()
	for len(c.room) < n {
		c.changed.Wait()
	}
	chains := append([]*model.Chain(nil), c.room[:n]...)
	c.mu.Unlock()
	for _, chain := range chains {
		chain.Queue().Return(chain, chain.Write(0, b))
	}
}
