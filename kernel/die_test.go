package kernel

import "testing"

// A fatal signal waits until all is saved, once there is something to save: the
// first is told to whoever polls for it, and the program goes on. Other signals do
// nothing by default, and a kill reaches no other process.
func TestFatalSignalWaits(t *testing.T) {
	m := newTestMachine(t, 4096, 1)
	i := m.spawn()
	c, th := cpuAt(0), threadAt(i)
	m.settle()
	if postpone(c, 15) {
		t.Error("a signal waits for nobody")
	}
	m.call(c, callWatchDeath)
	fd := th.regs.ax
	if m.call(c, callWatchDeath); th.regs.ax != uint64(errEXIST) || fd < 3 {
		t.Fatalf("descriptors %d and then %d", fd, int64(th.regs.ax))
	}
	room := m.room(1)
	m.call(c, nrEpollCreate1)
	epoll := uintptr(th.regs.ax)
	*at[[2]uint32](room) = [2]uint32{epollIn | epollEdge, 77}
	if m.call(c, nrEpollCtl, epoll, 1, uintptr(fd), room); th.regs.ax != 0 {
		t.Fatalf("watching: %d", int64(th.regs.ax))
	}
	events := func() uint64 {
		m.call(c, nrEpollWait, epoll, room, 4, 0)
		return th.regs.ax
	}
	for _, sig := range []uintptr{17, 18, 19, 20, 21, 22, 23, 28} {
		m.call(c, nrKill, 1, sig)
	}
	for _, pid := range []uintptr{2, ^uintptr(0), 4711} {
		if m.call(c, nrKill, pid, sigKILL); th.regs.ax != uint64(errSRCH) {
			t.Errorf("a signal to process %d: %d", int64(pid), int64(th.regs.ax))
		}
	}
	if n := events(); n != 0 || deathFrom.Load() != 0 {
		t.Fatalf("%d events, death by signal %d", n, deathFrom.Load())
	}
	m.call(c, nrKill, 1, sigKILL)
	m.call(c, nrTgkill, 1, uintptr(i)+1, 15)
	if n := events(); n != 1 || *at[uint32](room + 4) != 77 || deathFrom.Load() != sigKILL {
		t.Errorf("%d events of %d, death by signal %d", n, *at[uint32](room + 4), deathFrom.Load())
	}
	if th.state != threadRunning || th.pending != 0 {
		t.Errorf("the thread is in state %d, signals %#x", th.state, th.pending)
	}
	saved.Store(true)
	if postpone(c, 15) {
		t.Error("a signal waits when all is saved")
	}
}
