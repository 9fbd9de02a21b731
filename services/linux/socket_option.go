package linux

import (
	"encoding/binary"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// getInt reads the value of an integer option: an int, or the single byte
// that the IP level takes as well.
func getInt(value []byte) int {
	switch {
	case len(value) >= 4:
		return int(int32(binary.LittleEndian.Uint32(value)))
	case len(value) >= 1:
		return int(value[0])
	}
	return 0
}

// putInt writes the value of an integer option, cut off where value is short,
// and returns its length.
func putInt(value []byte, n int) int {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], uint32(n))
	return copy(value, b[:])
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// timeouts are SO_RCVTIMEO and SO_SNDTIMEO.
type timeouts struct{ read, write atomic.Int64 }

// set takes a struct timeval (seconds and microseconds, 8 bytes each).
func (t *timeouts) set(option int, value []byte) error {
	if len(value) < 16 {
		return syscall.EINVAL
	}
	sec := int64(binary.LittleEndian.Uint64(value))
	usec := int64(binary.LittleEndian.Uint64(value[8:]))
	if usec < 0 || usec >= 1e6 {
		return syscall.EDOM
	}
	d := time.Duration(max(min(sec, 1<<32), 0))*time.Second + time.Duration(usec)*time.Microsecond
	t.of(option).Store(int64(d))
	return nil
}

func (t *timeouts) get(option int, value []byte) (int, error) {
	d := time.Duration(t.of(option).Load())
	var b [16]byte
	binary.LittleEndian.PutUint64(b[0:], uint64(d/time.Second))
	binary.LittleEndian.PutUint64(b[8:], uint64(d%time.Second/time.Microsecond))
	return copy(value, b[:]), nil
}

func (t *timeouts) of(option int) *atomic.Int64 {
	if option == unix.SO_RCVTIMEO {
		return &t.read
	}
	return &t.write
}

// ReadTimeout implements Timeouts.
func (s *inetSocket) ReadTimeout() time.Duration { return time.Duration(s.timeouts.read.Load()) }

// WriteTimeout implements Timeouts.
func (s *inetSocket) WriteTimeout() time.Duration { return time.Duration(s.timeouts.write.Load()) }

// optionKey names an option.
type optionKey struct{ level, option int }

// intOption is an option whose value is an int. A nil set is read-only.
type intOption struct {
	get func(s *inetSocket) (int, error)
	set func(s *inetSocket, v int) error
}

// flag makes an option of a pair of the stack's boolean ones.
func flag(get func(*tcpip.SocketOptions) bool, set func(*tcpip.SocketOptions, bool)) intOption {
	return intOption{
		get: func(s *inetSocket) (int, error) { return boolInt(get(s.ep.SocketOptions())), nil },
		set: func(s *inetSocket, v int) error { set(s.ep.SocketOptions(), v != 0); return nil },
	}
}

// number makes an option of one of the stack's integer ones.
func number(opt tcpip.SockOptInt) intOption {
	return intOption{
		get: func(s *inetSocket) (int, error) {
			v, err := s.ep.GetSockOptInt(opt)
			return v, stackError(err)
		},
		set: func(s *inetSocket, v int) error { return stackError(s.ep.SetSockOptInt(opt, v)) },
	}
}

// constant makes an option that reads as v. Where ignored, setting it is
// accepted without effect.
func constant(v int, ignored bool) intOption {
	o := intOption{get: func(*inetSocket) (int, error) { return v, nil }}
	if ignored {
		o.set = func(*inetSocket, int) error { return nil }
	}
	return o
}

var intOptions = map[optionKey]intOption{
	{unix.SOL_SOCKET, unix.SO_REUSEADDR}:  flag((*tcpip.SocketOptions).GetReuseAddress, (*tcpip.SocketOptions).SetReuseAddress),
	{unix.SOL_SOCKET, unix.SO_REUSEPORT}:  flag((*tcpip.SocketOptions).GetReusePort, (*tcpip.SocketOptions).SetReusePort),
	{unix.SOL_SOCKET, unix.SO_KEEPALIVE}:  flag((*tcpip.SocketOptions).GetKeepAlive, (*tcpip.SocketOptions).SetKeepAlive),
	{unix.SOL_SOCKET, unix.SO_BROADCAST}:  flag((*tcpip.SocketOptions).GetBroadcast, (*tcpip.SocketOptions).SetBroadcast),
	{unix.SOL_SOCKET, unix.SO_NO_CHECK}:   flag((*tcpip.SocketOptions).GetNoChecksum, (*tcpip.SocketOptions).SetNoChecksum),
	{unix.SOL_SOCKET, unix.SO_OOBINLINE}:  constant(0, true),
	{unix.SOL_SOCKET, unix.SO_PRIORITY}:   constant(0, true),
	{unix.SOL_SOCKET, unix.SO_MARK}:       constant(0, true),
	{unix.SOL_SOCKET, unix.SO_TIMESTAMP}:  constant(0, true),
	{unix.SOL_SOCKET, unix.SO_RCVLOWAT}:   constant(1, true),
	{unix.SOL_SOCKET, unix.SO_TYPE}:       {get: func(s *inetSocket) (int, error) { return s.kind, nil }},
	{unix.SOL_SOCKET, unix.SO_PROTOCOL}:   {get: func(s *inetSocket) (int, error) { return s.protocol, nil }},
	{unix.SOL_SOCKET, unix.SO_DOMAIN}:     {get: func(s *inetSocket) (int, error) { return s.family, nil }},
	{unix.SOL_SOCKET, unix.SO_ACCEPTCONN}: {get: (*inetSocket).listening},
	{unix.SOL_SOCKET, unix.SO_ERROR}:      {get: (*inetSocket).takeError},
	{unix.SOL_SOCKET, unix.SO_RCVBUF}:     {(*inetSocket).receiveBuffer, (*inetSocket).setReceiveBuffer},
	{unix.SOL_SOCKET, unix.SO_SNDBUF}:     {(*inetSocket).sendBuffer, (*inetSocket).setSendBuffer},

	{unix.IPPROTO_TCP, unix.TCP_NODELAY}:       {(*inetSocket).noDelay, (*inetSocket).setNoDelay},
	{unix.IPPROTO_TCP, unix.TCP_CORK}:          flag((*tcpip.SocketOptions).GetCorkOption, (*tcpip.SocketOptions).SetCorkOption),
	{unix.IPPROTO_TCP, unix.TCP_QUICKACK}:      flag((*tcpip.SocketOptions).GetQuickAck, (*tcpip.SocketOptions).SetQuickAck),
	{unix.IPPROTO_TCP, unix.TCP_KEEPCNT}:       number(tcpip.KeepaliveCountOption),
	{unix.IPPROTO_TCP, unix.TCP_MAXSEG}:        number(tcpip.MaxSegOption),
	{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}:      {(*inetSocket).keepIdle, (*inetSocket).setKeepIdle},
	{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL}:     {(*inetSocket).keepInterval, (*inetSocket).setKeepInterval},
	{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT}:  {(*inetSocket).userTimeout, (*inetSocket).setUserTimeout},
	{unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT}:  constant(0, true),
	{unix.IPPROTO_TCP, unix.TCP_FASTOPEN}:      constant(0, true),
	{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT}: constant(-1, true),

	{unix.IPPROTO_IP, unix.IP_TTL}:            {(*inetSocket).ttl, (*inetSocket).setTTL},
	{unix.IPPROTO_IP, unix.IP_TOS}:            number(tcpip.IPv4TOSOption),
	{unix.IPPROTO_IP, unix.IP_MULTICAST_TTL}:  {(*inetSocket).multicastTTL, (*inetSocket).setMulticastTTL},
	{unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP}: flag((*tcpip.SocketOptions).GetMulticastLoop, (*tcpip.SocketOptions).SetMulticastLoop),
	{unix.IPPROTO_IP, unix.IP_MULTICAST_ALL}:  constant(1, true),
	{unix.IPPROTO_IP, unix.IP_RECVERR}:        constant(0, true),
	{unix.IPPROTO_IP, unix.IP_FREEBIND}:       constant(0, true),
	{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER}:   number(tcpip.MTUDiscoverOption),
	{unix.IPPROTO_IP, unix.IP_PKTINFO}:        flag((*tcpip.SocketOptions).GetReceivePacketInfo, (*tcpip.SocketOptions).SetReceivePacketInfo),
	{unix.IPPROTO_IP, unix.IP_RECVTTL}:        flag((*tcpip.SocketOptions).GetReceiveTTL, (*tcpip.SocketOptions).SetReceiveTTL),
	{unix.IPPROTO_IP, unix.IP_RECVTOS}:        flag((*tcpip.SocketOptions).GetReceiveTOS, (*tcpip.SocketOptions).SetReceiveTOS),
	{unix.IPPROTO_IP, unix.IP_HDRINCL}:        flag((*tcpip.SocketOptions).GetHeaderIncluded, (*tcpip.SocketOptions).SetHeaderIncluded),

	{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY}:         {(*inetSocket).v6Only, (*inetSocket).setV6Only},
	{unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS}:   number(tcpip.IPv6HopLimitOption),
	{unix.IPPROTO_IPV6, unix.IPV6_TCLASS}:         number(tcpip.IPv6TrafficClassOption),
	{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS}: {(*inetSocket).multicastTTL, (*inetSocket).setMulticastTTL},
	{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP}: flag((*tcpip.SocketOptions).GetMulticastLoop, (*tcpip.SocketOptions).SetMulticastLoop),
	{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF}:   number(tcpip.IPv6MulticastInterfaceOption),
	{unix.IPPROTO_IPV6, unix.IPV6_RECVERR}:        constant(0, true),
	{unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER}:   constant(unix.IPV6_PMTUDISC_WANT, true),
	{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO}:    flag((*tcpip.SocketOptions).GetIPv6ReceivePacketInfo, (*tcpip.SocketOptions).SetIPv6ReceivePacketInfo),
	{unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT}:   flag((*tcpip.SocketOptions).GetReceiveHopLimit, (*tcpip.SocketOptions).SetReceiveHopLimit),
	{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS}:     flag((*tcpip.SocketOptions).GetReceiveTClass, (*tcpip.SocketOptions).SetReceiveTClass),
	{unix.IPPROTO_IPV6, unix.IPV6_AUTOFLOWLABEL}:  constant(1, true),
	{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL}:  constant(1, true),
}

func (s *inetSocket) setOption(level, option int, value []byte) error {
	if !s.levelFits(level) {
		return syscall.ENOPROTOOPT
	}
	if done, err := s.setOther(level, option, value); done {
		return err
	}
	o, ok := intOptions[optionKey{level, option}]
	if !ok || o.set == nil {
		return syscall.ENOPROTOOPT
	}
	if len(value) < 4 && (level != unix.IPPROTO_IP || len(value) < 1) {
		return syscall.EINVAL
	}
	return o.set(s, getInt(value))
}

func (s *inetSocket) getOption(level, option int, value []byte) (int, error) {
	if !s.levelFits(level) {
		return 0, syscall.EOPNOTSUPP
	}
	if done, n, err := s.getOther(level, option, value); done {
		return n, err
	}
	o, ok := intOptions[optionKey{level, option}]
	if !ok {
		return 0, syscall.ENOPROTOOPT
	}
	v, err := o.get(s)
	if err != nil {
		return 0, err
	}
	return putInt(value, v), nil
}

// levelFits tells whether a level's options are this socket's.
func (s *inetSocket) levelFits(level int) bool {
	switch level {
	case unix.IPPROTO_TCP:
		return s.stream()
	case unix.IPPROTO_IPV6:
		return s.family == unix.AF_INET6
	}
	return true
}

func (s *inetSocket) listening() (int, error) {
	return boolInt(s.stream() && tcp.EndpointState(s.ep.State()) == tcp.StateListen), nil
}

// takeError is SO_ERROR: the pending error, which is then none.
func (s *inetSocket) takeError() (int, error) {
	s.mu.Lock()
	failed := s.failed
	s.failed = nil
	s.mu.Unlock()
	if failed == nil {
		failed = stackError(s.ep.LastError())
	}
	return int(errno(failed)), nil
}

// Linux doubles what is set and shows the double (socket(7)).
func (s *inetSocket) receiveBuffer() (int, error) {
	return int(s.ep.SocketOptions().GetReceiveBufferSize()) * 2, nil
}

func (s *inetSocket) setReceiveBuffer(v int) error {
	low, high := s.ep.SocketOptions().ReceiveBufferLimits()
	s.ep.SocketOptions().SetReceiveBufferSize(min(max(int64(v), low), high), true)
	return nil
}

func (s *inetSocket) sendBuffer() (int, error) {
	return int(s.ep.SocketOptions().GetSendBufferSize()) * 2, nil
}

func (s *inetSocket) setSendBuffer(v int) error {
	low, high := s.ep.SocketOptions().SendBufferLimits()
	s.ep.SocketOptions().SetSendBufferSize(min(max(int64(v), low), high), true)
	return nil
}

func (s *inetSocket) noDelay() (int, error) {
	return boolInt(!s.ep.SocketOptions().GetDelayOption()), nil
}

func (s *inetSocket) setNoDelay(v int) error {
	s.ep.SocketOptions().SetDelayOption(v == 0)
	return nil
}

// maxKeepalive is the most seconds that Linux takes for the keep-alive times.
const maxKeepalive = 32767

func seconds(v int) (time.Duration, error) {
	if v < 1 || v > maxKeepalive {
		return 0, syscall.EINVAL
	}
	return time.Duration(v) * time.Second, nil
}

func (s *inetSocket) keepIdle() (int, error) {
	var d tcpip.KeepaliveIdleOption
	err := s.ep.GetSockOpt(&d)
	return int(time.Duration(d) / time.Second), stackError(err)
}

func (s *inetSocket) setKeepIdle(v int) error {
	d, err := seconds(v)
	if err != nil {
		return err
	}
	o := tcpip.KeepaliveIdleOption(d)
	return stackError(s.ep.SetSockOpt(&o))
}

func (s *inetSocket) keepInterval() (int, error) {
	var d tcpip.KeepaliveIntervalOption
	err := s.ep.GetSockOpt(&d)
	return int(time.Duration(d) / time.Second), stackError(err)
}

func (s *inetSocket) setKeepInterval(v int) error {
	d, err := seconds(v)
	if err != nil {
		return err
	}
	o := tcpip.KeepaliveIntervalOption(d)
	return stackError(s.ep.SetSockOpt(&o))
}

func (s *inetSocket) userTimeout() (int, error) {
	var d tcpip.TCPUserTimeoutOption
	err := s.ep.GetSockOpt(&d)
	return int(time.Duration(d) / time.Millisecond), stackError(err)
}

func (s *inetSocket) setUserTimeout(v int) error {
	if v < 0 {
		return syscall.EINVAL
	}
	o := tcpip.TCPUserTimeoutOption(time.Duration(v) * time.Millisecond)
	return stackError(s.ep.SetSockOpt(&o))
}

// defaultTTL is what Linux shows for a socket on which none was set.
const defaultTTL = 64

func (s *inetSocket) ttl() (int, error) {
	v, err := s.ep.GetSockOptInt(tcpip.IPv4TTLOption)
	if v == tcpip.UseDefaultIPv4TTL {
		v = defaultTTL
	}
	return v, stackError(err)
}

func (s *inetSocket) setTTL(v int) error {
	if v == -1 {
		v = tcpip.UseDefaultIPv4TTL
	} else if v < 1 || v > 255 {
		return syscall.EINVAL
	}
	return stackError(s.ep.SetSockOptInt(tcpip.IPv4TTLOption, v))
}

func (s *inetSocket) multicastTTL() (int, error) {
	v, err := s.ep.GetSockOptInt(tcpip.MulticastTTLOption)
	return v, stackError(err)
}

func (s *inetSocket) setMulticastTTL(v int) error {
	if v == -1 {
		v = 1
	} else if v < 0 || v > 255 {
		return syscall.EINVAL
	}
	return stackError(s.ep.SetSockOptInt(tcpip.MulticastTTLOption, v))
}

func (s *inetSocket) v6Only() (int, error) { return boolInt(s.ep.SocketOptions().GetV6Only()), nil }

func (s *inetSocket) setV6Only(v int) error {
	var name socketName
	if err := s.localName(&name); err == nil && name.n > 3 && (name.buf[2] != 0 || name.buf[3] != 0) {
		return syscall.EINVAL // bound already
	}
	s.ep.SocketOptions().SetV6Only(v != 0)
	return nil
}
