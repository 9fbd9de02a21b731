package kernel

import "sync/atomic"

// The kernel log: the last logSize bytes of what the kernel said, kept in
// memory for dmesg and for a panic's report, and sent to the console as it
// is said.
const logSize = 32 << 10

var (
	logBytes [logSize]byte
	logEnd   atomic.Uint64 // bytes ever written; the ring holds the last logSize
)

func logByte(b byte) {
	n := logEnd.Add(1) - 1
	logBytes[n%logSize] = b
}

// say writes one line of the arguments to the log, and to the console unless
// the command line says quiet. It formats without allocating: strings,
// numbers made by hex and dec.
func say(parts ...string) {
	stamp()
	for _, p := range parts {
		emit(p)
	}
	emit("\n")
}

// note writes a line to the log only.
func note(parts ...string) {
	was := quiet
	quiet = true
	say(parts...)
	quiet = was
}

func emit(s string) {
	for i := 0; i < len(s); i++ {
		logByte(s[i])
	}
	if !quiet {
		consoleWrite(s)
	}
}

// quiet keeps the log off the console; a panic turns it off.
var quiet bool

// number is room for one formatted number, on the caller's stack.
type number [20]byte

func (n *number) hex(v uint64) string {
	const digits = "0123456789abcdef"
	i := len(n)
	for {
		i--
		n[i] = digits[v&15]
		v >>= 4
		if v == 0 {
			break
		}
	}
	return view(n[i:])
}

func (n *number) dec(v uint64) string {
	i := len(n)
	for {
		i--
		n[i] = '0' + byte(v%10)
		v /= 10
		if v == 0 {
			break
		}
	}
	return view(n[i:])
}

func stamp() {
	var n number
	ms := uint64(monotonic()) / 1000000
	emit("[")
	emit(n.dec(ms / 1000))
	emit(".")
	frac := ms % 1000
	if frac < 100 {
		emit("0")
	}
	if frac < 10 {
		emit("0")
	}
	emit(n.dec(frac))
	emit("] ")
}
