//go:build !race

package net

import (
	"net/netip"
	"testing"

	"github.com/tuplix/tuplix/services/net/link"
	"github.com/tuplix/tuplix/services/net/wire"
)

// This one does not run under the race detector: slowed down by it, a transfer
// with loss stalls about once in fifty runs, netstack's sender and receiver
// both waiting. The cause is open (docs/CAVEATS.md); without the detector 180
// runs in a row passed.

func TestTransferWithLoss(t *testing.T) {
	all := link.Offloads{TxChecksum: true, TSO4: true, TSO6: true, RxChecksum: true, RxGRO: true}
	sa, sb, na, nb := twoHosts(t,
		wire.Options{Offloads: all, Loss: 0.02, Seed: 7},
		wire.Options{Offloads: link.Offloads{}, Loss: 0.02, Seed: 8})
	transfer(t, sa, sb, netip.MustParseAddr("10.0.0.2"), 1*mib)
	noBreaches(t, na, nb)
	if na.Counts().Lost == 0 {
		t.Error("nothing was lost")
	}
}
