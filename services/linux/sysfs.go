package linux

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tuplix/tuplix/services/net"
)

// newSys makes /sys: what the runtime asks about memory, and programs about processors and
// network cards.
func (s *System) newSys() *synthetic {
	t := &syntheticFS{s: s, device: deviceSys}
	cards := t.dir("net")
	cards.children = func() []*synthetic { return s.cards(t, cards) }
	t.root = t.dir("sys",
		t.dir("kernel", t.dir("mm", t.dir("transparent_hugepage",
			t.text("enabled", func() string { return "always madvise [never]\n" }),
			t.text("hpage_pmd_size", func() string { return "2097152\n" }),
		))),
		t.dir("class", cards),
		t.dir("devices", t.dir("system", t.later("cpu", func() []*synthetic { return s.newProcessors(t) }))),
	)
	return t.root
}

// newProcessors makes what is in /sys/devices/system/cpu.
func (s *System) newProcessors(t *syntheticFS) []*synthetic {
	count := s.machine.Processors()
	list := func() string { return processorList(count) + "\n" }
	entries := []*synthetic{
		t.text("online", list), t.text("possible", list), t.text("present", list),
		t.text("offline", func() string { return "\n" }),
		t.text("kernel_max", func() string { return "63\n" }),
	}
	for i := range count {
		number := func() string { return strconv.Itoa(i) + "\n" }
		entries = append(entries, t.dir(fmt.Sprint("cpu", i),
			t.text("online", func() string { return "1\n" }),
			t.dir("topology",
				t.text("core_id", number),
				t.text("physical_package_id", func() string { return "0\n" }),
				t.text("thread_siblings_list", number),
				t.text("core_siblings_list", list),
			)))
	}
	return entries
}

// Flags of an interface (linux/if.h), and its kinds (linux/if_arp.h).
const (
	flagUp, flagBroadcast, flagLoopback, flagMulticast = 0x1, 0x2, 0x8, 0x1000
	kindEthernet, kindLoopback                         = 1, 772
)

// cards lists the interfaces as they are now. Their inode numbers are above those that
// are counted out, by index.
func (s *System) cards(t *syntheticFS, parent *synthetic) (list []*synthetic) {
	if s.network == nil {
		return nil
	}
	for _, i := range s.network.Snapshot().Interfaces {
		number := uint64(1)<<32 + uint64(i.Index)<<8
		card := &synthetic{fs: t, name: i.Name, number: number, mode: parent.mode, parent: parent}
		card.children = cardFiles(t, card, &i)
		list = append(list, card)
	}
	return list
}

// cardFiles makes what is in the directory of an interface.
func cardFiles(t *syntheticFS, card *synthetic, i *net.InterfaceState) func() []*synthetic {
	number := card.number
	made := func(parent *synthetic, name string, value any) *synthetic {
		number++
		return &synthetic{fs: t, name: name, number: number, mode: 0o100444, parent: parent,
			content: func() []byte { return fmt.Appendln(nil, value) }}
	}
	state, carrier, flags, kind := "down", 0, flagMulticast|flagBroadcast, kindEthernet
	if i.Loopback {
		flags, kind = flagLoopback, kindLoopback
	}
	if i.Up {
		state, carrier, flags = "up", 1, flags|flagUp
	}
	if i.Up && i.Loopback {
		state = "unknown" // as Linux has it
	}
	statistics := &synthetic{fs: t, name: "statistics", mode: card.mode, parent: card}
	files := []*synthetic{
		statistics,
		made(card, "address", cardAddress(i.MAC)), made(card, "mtu", i.MTU), made(card, "ifindex", i.Index),
		made(card, "operstate", state), made(card, "carrier", carrier), made(card, "type", kind),
		made(card, "flags", fmt.Sprintf("%#x", flags)),
	}
	number++
	statistics.number = number
	c := i.Counters
	counters := []*synthetic{
		made(statistics, "rx_bytes", c.RxBytes), made(statistics, "rx_packets", c.RxPackets), made(statistics, "rx_errors", 0),
		made(statistics, "rx_dropped", 0), made(statistics, "tx_bytes", c.TxBytes), made(statistics, "tx_packets", c.TxPackets),
		made(statistics, "tx_errors", 0), made(statistics, "tx_dropped", c.TxDropped),
	}
	statistics.children = func() []*synthetic { return counters }
	return func() []*synthetic { return files }
}

func cardAddress(mac [6]byte) string {
	var parts []string
	for _, b := range mac {
		parts = append(parts, fmt.Sprintf("%02x", b))
	}
	return strings.Join(parts, ":")
}
