package network

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var pingCommand = &command.Command{
	Name: "ping", Usage: "[-46] [-c count] [-i seconds] [-s bytes] [-W seconds] host",
	Summary: "ask a machine for echoes and time them", Run: ping,
}

// An echo request or reply is, in network byte order:
//
//	0      1      2          4            6          8
//	+------+------+----------+------------+----------+---------+
//	| type | code | checksum | identifier | sequence | payload |
//	+------+------+----------+------------+----------+---------+
//
// See RFC 792 and RFC 4443. The checksum of ICMPv6 covers a pseudo header and
// is the system's business. On a datagram socket so is the identifier.
const echoHeader = 8

// kind is what differs between the two families.
type kind struct {
	network        string // for resolving
	raw            string // for a raw socket
	domain, proto  int
	request, reply byte
}

var (
	icmp4 = kind{"ip4", "ip4:icmp", syscall.AF_INET, syscall.IPPROTO_ICMP, 8, 0}
	icmp6 = kind{"ip6", "ip6:ipv6-icmp", syscall.AF_INET6, syscall.IPPROTO_ICMPV6, 128, 129}
)

// pinger is one run of ping.
type pinger struct {
	*command.Call
	kind
	conn     net.PacketConn
	datagram bool // the socket is a datagram one, not raw
	to       net.IP
	size     int
	wait     time.Duration
	sent     int
	received int
	fastest  time.Duration
	slowest  time.Duration
	total    time.Duration
}

func ping(ctx context.Context, c *command.Call) error {
	o := c.Options()
	four := o.Flag("4", "by IPv4 only")
	six := o.Flag("6", "by IPv6 only")
	count := o.Int("c,count", "N", 0, 1, "stop after so many")
	every := o.String("i,interval", "SECONDS", "1", "time between two")
	size := o.Int("s,size", "BYTES", 56, 8, "bytes to send, behind the header of 8")
	wait := o.String("W,timeout", "SECONDS", "2", "how long to wait for an echo")
	args, err := o.Parse(1, 1)
	if err != nil {
		return err
	}
	if *size > 1400 {
		return command.Usagef("-s is at most 1400, which fits into one packet everywhere")
	}
	interval, err1 := time.ParseDuration(*every + "s")
	patience, err2 := time.ParseDuration(*wait + "s")
	if err1 != nil || err2 != nil || interval < 10*time.Millisecond || patience <= 0 {
		return command.Usagef("-i and -W are seconds, such as 0.2; -i is at least 0.01")
	}
	p := &pinger{Call: c, size: *size, wait: patience}
	if err := p.resolve(ctx, args[0], *four, *six); err != nil {
		return err
	}
	if err := p.open(); err != nil {
		return err
	}
	defer p.conn.Close()                                                               // nothing is buffered in it
	stop := context.AfterFunc(ctx, func() { p.conn.SetReadDeadline(time.Unix(1, 0)) }) // wakes the wait; a closed socket has none
	defer stop()
	fmt.Fprintf(c.Out, "PING %s (%s): %d bytes\n", args[0], p.to, p.size)
	err = p.run(ctx, *count, interval)
	p.summary(args[0])
	if err == nil && p.received == 0 {
		err = command.Exit(command.StatusFailed)
	}
	return err
}

func (p *pinger) resolve(ctx context.Context, host string, four, six bool) error {
	network := "ip"
	switch {
	case four && six:
		return command.Usagef("say one of -4 and -6")
	case four:
		network = "ip4"
	case six:
		network = "ip6"
	}
	found, err := net.DefaultResolver.LookupIP(ctx, network, host)
	if err != nil {
		return err
	}
	p.to, p.kind = found[0], icmp6
	for _, a := range found {
		if a.To4() != nil {
			p.to, p.kind = a, icmp4
			break
		}
	}
	return nil
}

// open takes a datagram socket, which needs no right, or a raw one.
func (p *pinger) open() error {
	fd, err := syscall.Socket(p.domain, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, p.proto)
	if err == nil {
		f := os.NewFile(uintptr(fd), "icmp")
		p.conn, err = net.FilePacketConn(f)
		p.datagram = true
		if err = errors.Join(err, f.Close()); err == nil {
			return nil
		}
	}
	p.datagram = false
	conn, rawErr := net.ListenPacket(p.raw, "")
	if rawErr != nil {
		return fmt.Errorf("no ICMP socket: %w (as a datagram socket: %v)", rawErr, err)
	}
	p.conn = conn
	return nil
}

func (p *pinger) run(ctx context.Context, count int, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := p.once(ctx); err != nil {
			return err
		}
		if count > 0 && p.sent >= count || ctx.Err() != nil {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// once sends one request and waits for its echo.
func (p *pinger) once(ctx context.Context) error {
	p.sent++
	packet := p.packet(uint16(p.sent))
	var to net.Addr = &net.IPAddr{IP: p.to}
	if p.datagram {
		to = &net.UDPAddr{IP: p.to}
	}
	start := time.Now()
	if _, err := p.conn.WriteTo(packet, to); err != nil {
		return err
	}
	if err := p.conn.SetReadDeadline(start.Add(p.wait)); err != nil {
		return err
	}
	buf := make([]byte, 2048)
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n, from, err := p.conn.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if ctx.Err() == nil {
				fmt.Fprintf(p.Out, "no echo within %v: number %d\n", p.wait, p.sent)
			}
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if p.answers(buf[:n], packet) {
			p.note(time.Since(start), n, from)
			return nil
		}
	}
}

// packet makes an echo request with a payload that starts with the time.
func (p *pinger) packet(sequence uint16) []byte {
	b := make([]byte, echoHeader+p.size)
	b[0] = p.request
	binary.BigEndian.PutUint16(b[4:], uint16(os.Getpid()))
	binary.BigEndian.PutUint16(b[6:], sequence)
	binary.BigEndian.PutUint64(b[8:], uint64(time.Now().UnixNano()))
	for i := 16; i < len(b); i++ {
		b[i] = byte(i)
	}
	if p.kind == icmp4 {
		binary.BigEndian.PutUint16(b[2:], checksum(b))
	}
	return b
}

// checksum is the Internet checksum, RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// answers reports whether a packet is the echo of a request.
func (p *pinger) answers(got, sent []byte) bool {
	return len(got) == len(sent) && got[0] == p.reply && got[1] == 0 &&
		(p.datagram || bytes.Equal(got[4:6], sent[4:6])) && bytes.Equal(got[6:], sent[6:])
}

func (p *pinger) note(took time.Duration, n int, from net.Addr) {
	if p.received == 0 || took < p.fastest {
		p.fastest = took
	}
	p.received++
	p.slowest = max(p.slowest, took)
	p.total += took
	host := from.String()
	if u, ok := from.(*net.UDPAddr); ok {
		host = u.IP.String()
	}
	fmt.Fprintf(p.Out, "%d bytes from %s: number %d, %.3f ms\n", n, host, p.sent, took.Seconds()*1e3)
}

// summary goes past the tie to the context, as it is also wanted after Ctrl-C.
func (p *pinger) summary(host string) {
	fmt.Fprintf(p.Err, "%s: %d sent, %d received, %d%% lost\n", host, p.sent, p.received, 100*(p.sent-p.received)/max(1, p.sent))
	if p.received > 0 {
		ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
		fmt.Fprintf(p.Err, "fastest %.3f ms, mean %.3f ms, slowest %.3f ms\n",
			ms(p.fastest), ms(p.total/time.Duration(p.received)), ms(p.slowest))
	}
}
