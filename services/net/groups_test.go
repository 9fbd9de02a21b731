package net

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/tuplix/tuplix/services/net/wire"
)

// TestGroups follows one group from joining to leaving, beside those that an
// interface is always in.
func TestGroups(t *testing.T) {
	s, _, _, _ := twoHosts(t, wire.Options{}, wire.Options{})
	groups := func() []netip.Addr { return s.Snapshot().Interfaces[1].Groups }
	for _, want := range []string{"224.0.0.1", "ff02::1", "ff02::1:ff00:1"} {
		// The last comes with an address that is first probed for.
		deadline := time.Now().Add(20 * time.Second)
		for !slices.Contains(groups(), netip.MustParseAddr(want)) {
			if time.Now().After(deadline) {
				t.Fatalf("not in %s: %v", want, groups())
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	group := netip.MustParseAddr("239.1.2.3")
	s.JoinedGroup(group)
	if slices.Contains(groups(), group) {
		t.Error("a group that no interface is in")
	}
	if err := s.Stack().JoinGroup(header.IPv4ProtocolNumber, 2, toTCPIP(group)); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(groups(), group) {
		t.Errorf("not in %s: %v", group, groups())
	}
	if err := s.Stack().LeaveGroup(header.IPv4ProtocolNumber, 2, toTCPIP(group)); err != nil {
		t.Fatal(err)
	}
	s.JoinedGroup(netip.MustParseAddr("239.1.2.4"))
	if g := groups(); slices.Contains(g, group) || len(s.groups.asked) != 1 {
		t.Errorf("still in %s: %v, %d remembered", group, g, len(s.groups.asked))
	}
}
