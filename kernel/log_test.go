package kernel

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func TestNumber(t *testing.T) {
	for _, v := range []uint64{0, 1, 9, 10, 15, 16, 255, 12345, math.MaxInt64, math.MaxUint64} {
		var n, m number
		if got, want := n.dec(v), fmt.Sprint(v); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := m.hex(v), fmt.Sprintf("%x", v); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestLog(t *testing.T) {
	m := newTestMachine(t, 1024, 1)
	for at, want := range map[time.Duration]string{
		0: "[0.000] ", 7 * time.Millisecond: "[0.007] ", 1042 * time.Millisecond: "[1.042] ", 3*time.Hour + 999*time.Millisecond: "[10800.999] ",
	} {
		logEnd.Store(0)
		*clockWord(24) = uint64(at)
		say("a", "b")
		if got := string(Log()); got != want+"ab\n" {
			t.Errorf("got %q, want %q", got, want+"ab\n")
		}
	}
	// The last of it stays.
	var all strings.Builder
	logEnd.Store(0)
	for i := range 10_000 {
		line := fmt.Sprintln("line", i)
		all.WriteString(line)
		emit(line)
	}
	want := all.String()[all.Len()-logSize:]
	if got := string(Log()); got != want {
		t.Errorf("the log has %d bytes, or others", len(got))
	}
	p := m.room(10)
	for _, n := range []uintptr{0, 1, 100, logSize, 9 * pageSize} {
		got := syslog(3, p, n)
		if w := want[logSize-min(n, logSize):]; got != uintptr(len(w)) || string(bytesAt(p, int(got))) != w {
			t.Errorf("dmesg of %d bytes gives %d, or others", n, got)
		}
	}
	if syslog(10, 0, 0) != logSize || syslog(3, 0x123000, 8) != errFAULT || syslog(5, 0, 0) != errINVAL {
		t.Error("the answers to klogctl's questions are wrong")
	}
}
