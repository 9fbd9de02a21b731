package timesync

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/beevik/ntp"
)

// Answers of chronyd 4.3 to a question of version 4, as they were on the wire: of one
// that has the time ("local stratum 3"), and of one that has not found it yet.
const (
	chronyAnswer  = "240300e600000000000000007f7f0101eeac9952ca111c76eeac99548cb61000eeac99548cbabde1eeac99548d152f28"
	chronyNotSync = "e40000e60001000000010000000000000000000000000000eeac997f20a52000eeac997f20a9550deeac997f2190df0c"
)

// Offsets of fields in a packet (RFC 5905, figure 8).
const (
	atLeap       = 0 // leap indicator, version, mode
	atStratum    = 1
	atDispersion = 8
	atReference  = 12 // what the server goes by; of stratum 0 the kiss code
	atUpdated    = 16 // when its clock was set last
	atOrigin     = 24
	atReceived   = 32
	atSent       = 40
)

// ntpTime is a time as 32.32 bits since 1900.
func ntpTime(t time.Time) uint64 {
	d := t.Sub(time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC))
	return uint64(d/time.Second)<<32 | uint64(d%time.Second)<<32/uint64(time.Second)
}

// move shifts a time of a packet, if there is one.
func move(p []byte, at int, by uint64) {
	if t := binary.BigEndian.Uint64(p[at:]); t != 0 {
		binary.BigEndian.PutUint64(p[at:], t+by)
	}
}

// back shifts a time of a packet the other way.
func back(p []byte, at int, by uint64) { move(p, at, ^by+1) }

// replay answers one question with a packet whose times are made those of a clock that
// is ahead of this one, and that is then changed.
func replay(t *testing.T, text string, ahead time.Duration, change func(p []byte) []byte) (server string) {
	t.Helper()
	answer, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	t.Cleanup(func() {
		c.Close()
		if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	go func() {
		question := make([]byte, 1000)
		_, from, err := c.ReadFrom(question)
		if err == nil {
			by := ntpTime(time.Now().Add(ahead)) - binary.BigEndian.Uint64(answer[atReceived:])
			move(answer, atUpdated, by)
			move(answer, atReceived, by)
			move(answer, atSent, by)
			copy(answer[atOrigin:], question[atSent:][:8])
			_, err = c.WriteTo(change(answer), from)
		}
		done <- err
	}()
	return c.LocalAddr().String()
}

// Real answers are understood, and those that RFC 5905 has a client throw away are not
// believed.
func TestPackets(t *testing.T) {
	set := func(at int, b ...byte) func([]byte) []byte {
		return func(p []byte) []byte { copy(p[at:], b); return p }
	}
	for name, test := range map[string]struct {
		answer string
		change func(p []byte) []byte
		want   error
	}{
		"as it was":                  {chronyAnswer, set(0), nil},
		"a leap second is announced": {chronyAnswer, set(atLeap, 0x64), nil},
		"version 3":                  {chronyAnswer, set(atLeap, 0x1c), nil},
		"with a key's digest behind": {chronyAnswer, func(p []byte) []byte { return append(p, make([]byte, 20)...) }, nil},

		"not synchronized":         {chronyNotSync, set(0), ntp.ErrKissOfDeath}, // of stratum 0
		"not synchronized, by bit": {chronyAnswer, set(atLeap, 0xe4), ntp.ErrInvalidLeapSecond},
		"too many questions":       {chronyAnswer, func(p []byte) []byte { p[atStratum] = 0; return set(atReference, []byte("RATE")...)(p) }, ntp.ErrKissOfDeath},
		"stratum 16":               {chronyAnswer, set(atStratum, 16), ntp.ErrInvalidStratum},
		"a question":               {chronyAnswer, set(atLeap, 0x23), ntp.ErrInvalidMode},
		"to everybody":             {chronyAnswer, set(atLeap, 0x25), ntp.ErrInvalidMode},
		"to another question":      {chronyAnswer, func(p []byte) []byte { p[atOrigin+7] ^= 1; return p }, ntp.ErrServerResponseMismatch},
		"without a time":           {chronyAnswer, set(atSent, make([]byte, 8)...), ntp.ErrInvalidTransmitTime},
		"sent before it came":      {chronyAnswer, func(p []byte) []byte { move(p, atReceived, 1<<32); return p }, ntp.ErrServerTickedBackwards},
		"far from any clock":       {chronyAnswer, set(atDispersion, 0, 17), ntp.ErrInvalidDispersion},
		"set two days ago":         {chronyAnswer, func(p []byte) []byte { back(p, atUpdated, 48*3600<<32); return p }, ntp.ErrServerClockFreshness},
		"to be set":                {chronyAnswer, func(p []byte) []byte { move(p, atUpdated, 3600<<32); return p }, ntp.ErrInvalidTime},
	} {
		t.Run(name, func(t *testing.T) {
			const ahead = 3 * time.Second
			r, err := query(replay(t, test.answer, ahead, test.change))
			if !errors.Is(err, test.want) || test.want == nil && err != nil {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if err != nil {
				return
			}
			// The server's clock is that of the moment at which it got the question, and
			// the answer tells of the time that it then took: chronyd had taken 1.43 ms.
			const took = 1500 * time.Microsecond
			if off := (r.ClockOffset - ahead).Abs(); off > r.RTT+took || r.Stratum != 3 {
				t.Errorf("the offset is %v, wrong by %v of %v; stratum %d", r.ClockOffset, off, r.RTT, r.Stratum)
			}
		})
	}
	if _, err := query(replay(t, chronyAnswer, 0, func(p []byte) []byte { return p[:47] })); err == nil {
		t.Error("a packet of 47 bytes was believed")
	}
}
