package net

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/tuplix/tuplix/services/net/link"
	"github.com/tuplix/tuplix/services/net/wire"
)

// TestTransferWithLoss has several transfers recover from loss, each in its own
// way: what is lost, data, acknowledgements or the end, depends on the seed.
func TestTransferWithLoss(t *testing.T) {
	all := link.Offloads{TxChecksum: true, TSO4: true, TSO6: true, RxChecksum: true, RxGRO: true}
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			sa, sb, na, nb := twoHosts(t,
				wire.Options{Offloads: all, Loss: 0.02, Seed: 2*seed + 7},
				wire.Options{Offloads: link.Offloads{}, Loss: 0.02, Seed: 2*seed + 8})
			transfer(t, sa, sb, netip.MustParseAddr("10.0.0.2"), 1*mib)
			noBreaches(t, na, nb)
			if na.Counts().Lost == 0 {
				t.Error("nothing was lost")
			}
		})
	}
}
