package flow

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	local  = netip.MustParseAddrPort("10.0.0.1:80")
	remote = netip.MustParseAddrPort("10.0.0.2:4000")
)

func established() string { return "ESTABLISHED" }

// What came and went between two calls of Take is told once.
func TestTake(t *testing.T) {
	var r Registry
	before := r.Connect(TCP, true, local, remote, Owner{}, established)
	var changes atomic.Int32
	r.OnChange(func() { changes.Add(1) })
	a := r.Connect(TCP, true, local, remote, Owner{Program: "web"}, established)
	b := r.Connect(TCP, false, remote, local, Owner{}, established)
	b.Received.Add(7)
	b.Close()
	n := r.Take()
	if len(n.Closed) != 1 || n.Closed[0] != b {
		t.Fatalf("%+v", n)
	}
	if at, gone := b.Closed(); !gone || at.Before(b.Opened) || b.State() != "ESTABLISHED" {
		t.Errorf("closed at %v, %v, %s", at, gone, b.State())
	}
	if n := r.Take(); n.Closed != nil {
		t.Errorf("told twice: %+v", n)
	}
	if open := r.Open(); len(open) != 2 || changes.Load() != 3 {
		t.Errorf("%d are open, %d changes", len(open), changes.Load())
	}
	before.Close()
	a.Close()
	if n := r.Take(); len(n.Closed) != 2 || len(r.Open()) != 0 {
		t.Errorf("%+v", n)
	}
}

// A reader that does not come is owed only so much.
func TestBound(t *testing.T) {
	var r Registry
	r.OnChange(func() {})
	for range MaxClosed + 10 {
		r.Connect(UDP, true, local, remote, Owner{}, established).Close()
	}
	if n := r.Take(); len(n.Closed) != MaxClosed || n.Lost != 10 {
		t.Errorf("%d closed, %d lost", len(n.Closed), n.Lost)
	}
}

func TestProgram(t *testing.T) {
	var r Registry
	l := r.Listen(TCP, local, Owner{Program: "web"})
	if p := r.Program(TCP, 80); p != "web" {
		t.Errorf("port 80 is %q's", p)
	}
	if p := r.Program(UDP, 80); p != "" {
		t.Errorf("UDP port 80 is %q's", p)
	}
	l.Close()
	if p := r.Program(TCP, 80); p != "" || len(r.Listeners()) != 0 {
		t.Errorf("port 80 is %q's afterwards", p)
	}
}

func TestConcurrent(t *testing.T) {
	var r Registry
	r.OnChange(func() {})
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for range 500 {
				c := r.Connect(TCP, true, local, remote, Owner{}, established)
				c.Sent.Add(1)
				c.Close()
			}
		})
	}
	total := 0
	done.Go(func() {
		for range 100 {
			n := r.Take()
			for _, c := range r.Open() {
				c.State()
			}
			total += len(n.Closed) + int(n.Lost)
		}
	})
	done.Wait()
	n := r.Take()
	if total += len(n.Closed) + int(n.Lost); total != 4000 {
		t.Errorf("%d of 4000 were told", total)
	}
}

func BenchmarkConnection(b *testing.B) {
	var r Registry
	r.OnChange(func() {})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Connect(TCP, true, local, remote, Owner{}, established).Close()
		if i%1000 == 0 {
			r.Take()
		}
	}
}
