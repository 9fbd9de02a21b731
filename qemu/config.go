package qemu

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/tuplix/tuplix/drivers/fwcfg"
	"github.com/tuplix/tuplix/kernel/cmdline"
)

// The ports named on the guest's command line. See the package comment.
const (
	statusPort = 0xe9
	exitPort   = 0x501
)

// Kinds of machine.
const (
	Q35     = "q35"     // a PC: PCI Express, ACPI, firmware
	MicroVM = "microvm" // virtio over MMIO, no PCI, little firmware
)

// Config describes a machine. The zero value of a field is its default.
type Config struct {
	Image   string       // the ELF file (or Linux kernel) to boot; required
	Initrd  string       // a file handed to the guest as boot module; may be empty
	Line    cmdline.Line // command line; the status and exit ports are added
	Machine string       // Q35 (default) or MicroVM
	Memory  int          // MiB; default DefaultMemory
	CPUs    int          // default 1
	Accel   Accel        // default: chosen by a probe
	Disk    *Disk        // nil: no disk
	Key     []byte       // of the encrypted disk, handed over by fw_cfg, at most MaxKey bytes; nil: none
	Network Network      // default: user-mode network without forwarding
	Extra   []string     // further arguments for QEMU
}

// DefaultMemory is the memory of a machine that is not told otherwise, in MiB.
const DefaultMemory = 512

// MaxKey bounds Config.Key in bytes: a pipe holds it.
const MaxKey = 32 << 10

// Disk is a virtio block device kept in a raw file.
type Disk struct {
	Path   string
	Faults []Fault // errors to inject
	Log    string  // file that records writes and flushes in their order (dm-log-writes format); may be empty
	Sector int     // size of a logical sector in bytes; 0: 512
}

// Fault makes disk requests fail.
type Fault struct {
	Op     string // "read", "write", "flush" or "discard"
	Errno  int    // what QEMU sees; the guest sees VIRTIO_BLK_S_IOERR
	Sector int64  // only requests that touch this sector of 512 bytes; negative: all
	Once   bool   // only the first one
	After  int    // so many requests of the kind succeed first; not for discard
}

// Network describes the machine's one network interface.
type Network struct {
	None     bool      // no interface at all
	Forwards []Forward // connections from the host; user-mode network only
	Tap      string    // name of a tap interface of the host; empty: user-mode network
}

// Forward carries connections to a port of the host on to one of the guest.
type Forward struct {
	UDP   bool
	Addr  string // address of the host to listen on; empty: 127.0.0.1
	Host  int    // port
	Guest int    // port
}

// ParseForward reads [ADDR:]HOST:GUEST[/udp|/tcp], where ADDR is an IPv4
// address and the others are ports.
func ParseForward(s string) (Forward, error) {
	var f Forward
	bad := fmt.Errorf("port forwarding %q is not of the form [ADDRESS:]HOST:GUEST[/udp]", s)
	ports, proto, found := strings.Cut(s, "/")
	if found && proto != "udp" && proto != "tcp" {
		return f, bad
	}
	f.UDP = proto == "udp"
	fields := strings.Split(ports, ":")
	if len(fields) == 3 {
		if ip := net.ParseIP(fields[0]); ip == nil || ip.To4() == nil {
			return f, bad
		}
		f.Addr, fields = fields[0], fields[1:]
	}
	if len(fields) != 2 {
		return f, bad
	}
	var err error
	if f.Host, err = parsePort(fields[0]); err != nil {
		return f, bad
	}
	if f.Guest, err = parsePort(fields[1]); err != nil {
		return f, bad
	}
	return f, nil
}

func parsePort(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err == nil && n == 0 {
		err = strconv.ErrRange
	}
	return int(n), err
}

func (f Forward) String() string {
	proto, addr := "tcp", f.Addr
	if f.UDP {
		proto = "udp"
	}
	if addr == "" {
		addr = "127.0.0.1"
	}
	return fmt.Sprintf("%s:%s:%d-:%d", proto, addr, f.Host, f.Guest)
}

// arguments returns QEMU's arguments for c. The console is on QEMU's standard
// input and output, the status port on file descriptor statusFD, the monitor
// on socket monitorFD.
func (c *Config) arguments(choice Choice) ([]string, error) {
	line := c.Line
	line.Set("status", fmt.Sprintf("%#x", statusPort))
	line.Set("debugexit", fmt.Sprintf("%#x", exitPort))
	if err := line.Check(); err != nil {
		return nil, err
	}
	machine, bus, err := c.machine()
	if err != nil {
		return nil, err
	}
	memory, cpus := c.Memory, c.CPUs
	if memory == 0 {
		memory = DefaultMemory
	}
	if cpus == 0 {
		cpus = 1
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none",
		"-accel", choice.accelerator(cpus), "-cpu", choice.CPU,
		"-m", strconv.Itoa(memory), "-smp", strconv.Itoa(cpus),
		"-kernel", c.Image, "-append", line.String(),
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-add-fd", fmt.Sprintf("fd=%d,set=1", statusFD),
		"-chardev", "file,id=status,path=/dev/fdset/1,append=on",
		"-device", fmt.Sprintf("isa-debugcon,iobase=%#x,chardev=status", statusPort),
		"-device", fmt.Sprintf("isa-debug-exit,iobase=%#x,iosize=0x01", exitPort),
		"-chardev", fmt.Sprintf("socket,id=monitor,fd=%d", monitorFD),
		"-mon", "chardev=monitor,mode=control",
		"-device", "virtio-rng-" + bus,
	}
	args = append(args, machine...)
	if c.Initrd != "" {
		args = append(args, "-initrd", c.Initrd)
	}
	if c.Key != nil {
		args = append(args, "-fw_cfg", fmt.Sprintf("name=%s,file=/dev/fd/%d", fwcfg.DiskKey, keyFD))
	}
	args = append(args, c.Disk.arguments(bus)...)
	args = append(args, c.Network.arguments(bus)...)
	return append(args, c.Extra...), nil
}

// Suffixes of the names of virtio devices, with what makes them speak version
// 1 of the standard only.
const (
	busPCI  = "pci,disable-legacy=on"
	busMMIO = "device" // -global virtio-mmio.force-legacy=false does it
)

// machine returns the arguments that select the machine, and the suffix of its
// virtio devices.
func (c *Config) machine() (args []string, bus string, err error) {
	switch c.Machine {
	case "", Q35:
		// System management mode is nothing that a guest here uses, and
		// setting it up takes the firmware 0.2 s of emulation.
		return []string{"-machine", "q35,smm=off,vmport=off,sata=off"}, busPCI, nil
	case MicroVM:
		return []string{"-machine", "microvm,rtc=on", "-global", "virtio-mmio.force-legacy=false"}, busMMIO, nil
	}
	return nil, "", fmt.Errorf("unknown machine %q: use %s or %s", c.Machine, Q35, MicroVM)
}

// node is one element of a block device's graph, as -blockdev takes it.
type node map[string]any

func (d *Disk) arguments(bus string) []string {
	if d == nil {
		return nil
	}
	var args []string
	add := func(n node) {
		text, err := json.Marshal(n)
		if err != nil {
			panic(err) // strings, numbers and booleans only
		}
		args = append(args, "-blockdev", string(text))
	}
	add(node{"driver": "file", "node-name": "file", "filename": d.Path, "aio": "threads", "discard": "unmap"})
	top := "file"
	if d.Log != "" {
		add(node{"driver": "file", "node-name": "logfile", "filename": d.Log})
		add(node{"driver": "blklogwrites", "node-name": "log", "file": top, "log": "logfile", "log-sector-size": 512, "discard": "unmap"})
		top = "log"
	}
	if len(d.Faults) > 0 {
		faults := d.faults()
		n := node{"driver": "blkdebug", "node-name": "faults", "image": top, "inject-error": faults.rules, "discard": "unmap"}
		if len(faults.states) > 0 {
			n["set-state"] = faults.states
		}
		add(n)
		top = "faults"
	}
	add(node{"driver": "raw", "node-name": "disk", "file": top, "discard": "unmap"})
	device := "virtio-blk-" + bus + ",drive=disk,discard=on,write-zeroes=on"
	if d.Sector != 0 {
		device += fmt.Sprintf(",logical_block_size=%d,physical_block_size=%d", d.Sector, d.Sector)
	}
	return append(args, "-device", device)
}

// injection is faults as blkdebug takes them.
type injection struct {
	rules  []node // inject-error
	states []node // set-state
}

// faults translates d.Faults. blkdebug has no counter but a state, which an event
// may change: each request that is to succeed first takes it one further. The
// states of several counting faults follow one another, so that the second begins
// to count once the first has struck.
func (d *Disk) faults() injection {
	var b injection
	state := 1 // blkdebug's first
	for _, f := range d.Faults {
		rule := node{"event": "none", "iotype": f.Op, "errno": f.Errno, "once": f.Once, "immediately": false}
		if f.Sector >= 0 {
			rule["sector"] = f.Sector
		}
		if f.After > 0 {
			event := events[f.Op]
			for range f.After {
				b.states = append(b.states, node{"event": event, "state": state, "new_state": state + 1})
				state++
			}
			rule["event"], rule["state"] = event, state
		}
		b.rules = append(b.rules, rule)
	}
	return b
}

// events are what the layer above blkdebug says before each request.
var events = map[string]string{"read": "read_aio", "write": "write_aio", "flush": "flush_to_disk"}

func (n *Network) arguments(bus string) []string {
	if n.None {
		return nil
	}
	backend := "user,id=net"
	for _, f := range n.Forwards {
		backend += ",hostfwd=" + f.String()
	}
	device := "virtio-net-" + bus + ",netdev=net,mrg_rxbuf=on"
	if n.Tap != "" {
		backend = "tap,id=net,ifname=" + n.Tap + ",script=no,downscript=no"
		device += ",mac=" + macFor(n.Tap)
	}
	if bus == busPCI {
		device += ",romfile=" // the boot ROM is in a package that is not needed otherwise
	}
	return []string{"-netdev", backend, "-device", device}
}

// macFor derives a locally administered address from a name, so that machines
// on different taps of one bridge differ.
func macFor(name string) string {
	h := uint32(2166136261) // FNV-1a
	for i := 0; i < len(name); i++ {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return fmt.Sprintf("52:54:%02x:%02x:%02x:%02x", byte(h>>24), byte(h>>16), byte(h>>8), byte(h))
}
