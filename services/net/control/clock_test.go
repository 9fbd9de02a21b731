package control

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/beevik/ntp"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/net"
	"github.com/tuplix/tuplix/services/user"
)

// The clock is kept by the servers of the setting, from its transaction on, and the
// tables tell.
func TestClock(t *testing.T) {
	st, err := store.Open(t.Context(), vfs.NewMem(), store.Options{}, user.Tables()...)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	line, err := net.ParseCommandLine("ip=none")
	if err != nil {
		t.Fatal(err)
	}
	n, err := net.New(net.Options{Config: line, Memory: 256 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	var shifted atomic.Int64
	s, err := Open(t.Context(), st, Options{
		Network: n, Line: line, Log: t.Logf, Delay: time.Millisecond,
		Shift: func(by time.Duration) { shifted.Add(int64(by)) },
		query: func(server string) (*ntp.Response, error) {
			if server == "dead" {
				return nil, errors.New("no answer")
			}
			return &ntp.Response{ClockOffset: time.Hour - time.Duration(shifted.Load()), RTT: time.Millisecond, Stratum: 1}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	read := func() (clock []Clock, servers []TimeServer) {
		t.Helper()
		err := errors.Join(s.Flush(t.Context()), st.View(t.Context(), func(tx *table.Tx) error {
			clock, servers = nil, nil
			return errors.Join(each(tx, Clocks, func(c *Clock) { clock = append(clock, *c) }),
				each(tx, TimeServers, func(c *TimeServer) { servers = append(servers, *c) }))
		}))
		if err != nil {
			t.Fatal(err)
		}
		return clock, servers
	}
	if clock, servers := read(); clock != nil || servers != nil || shifted.Load() != 0 {
		t.Errorf("without servers: %+v, %+v", clock, servers)
	}
	if err := s.SetTimeServers(context.Background(), "good", "dead"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		clock, servers := read()
		if len(clock) == 1 && clock[0].Synchronized && clock[0].Steps == 1 && len(servers) == 2 &&
			servers[0].Problem == "no answer" && servers[1].Source == "setting" && time.Duration(shifted.Load()) == time.Hour {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("never in time: %+v, %+v", clock, servers)
		}
	}
	if err := s.SetTimeServers(context.Background(), "none"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if clock, servers := read(); clock == nil && servers == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the servers do not go")
		}
	}
}
