package net

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/tuplix/tuplix/services/net/link"
	"github.com/tuplix/tuplix/services/net/wire"
)

// slowStore is a store whose transactions are numbers, durable some time after they
// were made if somebody waits for that.
type slowStore struct {
	flush         sync.Mutex
	made, durable atomic.Uint64
}

func (s *slowStore) Owed() bool { return s.made.Load() > s.durable.Load() }

func (s *slowStore) Sync(context.Context) error {
	s.flush.Lock()
	defer s.flush.Unlock()
	made := s.made.Load()
	time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond) // the disk's time
	s.durable.Store(max(made, s.durable.Load()))
	return nil
}

// TestOwed sends the numbers of transactions that are not durable, from several
// goroutines, beside connections: none arrives before it is durable, and all is in order.
func TestOwed(t *testing.T) {
	all := link.Offloads{TxChecksum: true, TSO4: true, TSO6: true, RxChecksum: true, RxGRO: true}
	sa, sb, na, nb := twoHosts(t, wire.Options{Offloads: all}, wire.Options{Offloads: all})
	var s slowStore
	sa.SetStore(&s)
	from := tcpip.FullAddress{Port: 9}
	in, err := gonet.DialUDP(sb.Stack(), &from, nil, header.IPv4ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	to := tcpip.FullAddress{Addr: toTCPIP(netip.MustParseAddr("10.0.0.2")), Port: 9}
	var senders sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for range 3 {
		senders.Go(func() {
			out, err := gonet.DialUDP(sa.Stack(), nil, &to, header.IPv4ProtocolNumber)
			if err != nil {
				t.Error(err)
				return
			}
			defer out.Close()
			for ctx.Err() == nil {
				if _, err := out.Write(binary.BigEndian.AppendUint64(nil, s.made.Add(1))); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
			}
		})
	}
	heard := make(chan int, 1)
	go func() {
		b := make([]byte, 100)
		n := 0
		for ; ; n++ {
			k, peer, err := in.ReadFrom(b)
			if err != nil {
				break
			}
			if number := binary.BigEndian.Uint64(bytes.Clone(b[:k])); number > s.durable.Load() {
				t.Errorf("%d arrives from %v, and %d are durable", number, peer, s.durable.Load())
			}
		}
		heard <- n
	}()
	for range 3 {
		transfer(t, sa, sb, netip.MustParseAddr("10.0.0.2"), 1*mib)
		transfer(t, sb, sa, netip.MustParseAddr("10.0.0.1"), 1*mib)
	}
	stop()
	senders.Wait()
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if n := <-heard; n < 10 {
		t.Errorf("%d datagrams arrived", n)
	}
	noBreaches(t, na, nb)
}
