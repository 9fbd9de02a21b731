package kernel

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"unsafe"
)

// TestSignalFrame: whatever a handler does, after sigreturn the thread has its
// registers, vector state and mask back; and the handler finds what Linux
// would show it, where Linux would.
func TestSignalFrame(t *testing.T) {
	m := newTestMachine(t, 4096, 1)
	defer func(n uintptr, mask uint64) { xsaveBytes, vectorMask = n, mask }(xsaveBytes, vectorMask)
	vectorMask = 0xE7
	alt, stack := m.room(8), m.room(8)
	i := m.spawn()
	c, th := cpuAt(0), threadAt(i)
	for range rounds(5_000) {
		xsaveBytes = uintptr(576 + m.Intn(2112)&^63)
		area := bytesAt(th.regs.xsave, int(xsaveBytes))
		m.Read(area)
		acceptable(area)
		words := (*[15]uint64)(unsafe.Pointer(&th.regs))
		for k := range words {
			words[k] = m.Uint64()
		}
		r := &th.regs
		r.ip, r.sp = m.Uint64()>>17, uint64(stack)+4*pageSize+uint64(m.Intn(pageSize))
		r.flags = m.Uint64()&0xCD5 | flagsUser
		r.live = uint64(m.Intn(2))
		th.mask = m.Uint64()
		th.altStack, th.altSize = alt, 8*pageSize
		a := action{handler: 0x401000, flags: saSiginfo, restorer: 0x402000, mask: m.Uint64()}
		if m.Intn(2) == 0 {
			a.flags |= saOnStack
		}
		if m.Intn(3) == 0 {
			r.sp = uint64(alt) + 4*pageSize // it is on it already
		}
		sig := uint(1 + m.Intn(31))
		info := signalInfo{code: int32(m.Uint32()), addr: uintptr(m.Uint64()), err: m.Uint64(), vector: 14}
		was, mask, vectors := *r, th.mask, slices.Clone(area)

		pushFrame(c, th, sig, &a, info)

		sp := uintptr(r.sp)
		low, high := alt, alt+8*pageSize
		if a.flags&saOnStack == 0 {
			low, high = stack, uintptr(was.sp)-128
		}
		if was.sp < uint64(stack) || was.sp > uint64(stack)+8*pageSize {
			low, high = alt, uintptr(was.sp)-128
		}
		if sp%16 != 8 || sp < low || sp+frameSize > high {
			t.Fatalf("the frame is at %#x, of [%#x, %#x)", sp, low, high)
		}
		ucontext := sp + frameContext
		for _, f := range []struct {
			what      string
			got, want uint64
		}{
			{"handler", r.ip, 0x401000}, {"restorer", *at[uint64](sp), 0x402000},
			{"first argument", r.di, uint64(sig)}, {"third argument", r.dx, uint64(ucontext)},
			{"signo", uint64(load32(uintptr(r.si))), uint64(sig)}, {"code", uint64(load32(uintptr(r.si) + 8)), uint64(uint32(info.code))},
			{"si_addr", *at[uint64](uintptr(r.si) + 16), uint64(info.addr)},
			// offsets in struct ucontext (arch/x86/include/uapi/asm/ucontext.h)
			{"gregs[R8]", *at[uint64](ucontext + 40), was.r8}, {"gregs[RAX]", *at[uint64](ucontext + 40 + 13*8), was.ax},
			{"gregs[RSP]", *at[uint64](ucontext + 40 + 15*8), was.sp}, {"gregs[RIP]", *at[uint64](ucontext + 40 + 16*8), was.ip},
			{"gregs[EFL]", *at[uint64](ucontext + 40 + 17*8), was.flags}, {"err", *at[uint64](ucontext + 40 + 19*8), info.err},
			{"trapno", *at[uint64](ucontext + 40 + 20*8), 14}, {"cr2", *at[uint64](ucontext + 40 + 22*8), uint64(info.addr)},
			{"sigmask", *at[uint64](ucontext + 40 + 23*8 + 72), mask},
			{"the mask now", th.mask, mask | a.mask | 1<<(sig-1)},
		} {
			if f.got != f.want {
				t.Fatalf("%s: %#x, want %#x", f.what, f.got, f.want)
			}
		}

		m.Read(area) // the handler's life
		for k := range words {
			words[k] = m.Uint64()
		}
		live := was.live
		hostile := live != 0 && m.Intn(4) == 0
		if hostile { // what XRSTOR would refuse must not get there
			fp := *at[uintptr](sp + frameFP)
			for k := range uintptr(64) {
				*at[byte](fp + 512 + k) = 0xFF
			}
			*at[uint32](fp + 24) = 0xFFFFFFFF
		}
		r.live, th.mask, r.ip = 0, 0, 7
		r.sp = uint64(sp) + 8 // it returned to the restorer
		sigreturn(th)

		was.live = r.live
		if *r != was || th.mask != mask {
			t.Fatalf("registers:\n got %+v\nwant %+v", *r, was)
		}
		if r.live != live {
			t.Fatalf("vector state: live %d, was %d", r.live, live)
		}
		if hostile {
			before := slices.Clone(area)
			if acceptable(area); !bytes.Equal(area, before) {
				t.Fatal("the processor would refuse the vector state")
			}
		} else if live != 0 && !bytes.Equal(area, vectors) {
			t.Fatal("the vector state is another")
		}
	}
}

// acceptable makes an XSAVE area one that XRSTOR takes (SDM volume 1, 13.8).
func acceptable(area []byte) {
	area[26], area[27] = 0, 0 // MXCSR has 16 bits
	area[512] &= byte(vectorMask)
	clear(area[513:576])
}

// A signal waits while it is masked, comes once, and the lowest comes first.
func TestSignalsWait(t *testing.T) {
	m := newTestMachine(t, 4096, 2)
	stack := m.room(8)
	a, b := m.spawn(), m.spawn()
	m.settle()
	for i, th := range []*thread{threadAt(a), threadAt(b)} {
		th.regs.sp = uint64(stack) + uint64(1+i)*4*pageSize
	}
	if threadAt(a).state != threadRunning || threadAt(b).state != threadRunning {
		t.Fatal("two processors do not run two threads")
	}
	for _, sig := range []uint{sigURG, sigPROF, 10} {
		actions[sig] = action{handler: 0x400000 + uintptr(sig), restorer: 1}
	}
	set := m.room(1)
	cpu := func(i int32) *processor { return cpuAt(int(threadAt(i).cpu)) }
	mask := func(how, v uint64) {
		*at[uint64](set) = v
		m.call(cpu(b), nrSigprocmask, uintptr(how), set, 0, 8)
	}
	at := func(i int32) string { return fmt.Sprintf("%x", threadAt(i).regs.ip) }

	mask(0, 1<<(sigURG-1)|1<<(10-1))
	m.call(cpu(a), nrTgkill, 1, uintptr(b)+1, sigURG)
	m.call(cpu(a), nrTgkill, 1, uintptr(b)+1, sigURG)
	m.call(cpu(a), nrTgkill, 1, uintptr(b)+1, 10)
	m.settle()
	if threadAt(b).regs.ip != 0 {
		t.Errorf("a masked signal is delivered at %s", at(b))
	}
	mask(1, 1<<(sigURG-1)|1<<(10-1))
	if at(b) != "40000a" {
		t.Errorf("the first handler is %s", at(b))
	}
	// The handler's frame has the old mask, and the second signal is next.
	threadAt(b).regs.sp += 8
	m.call(cpu(b), nrSigreturn)
	if at(b) != "400017" {
		t.Errorf("the second handler is %s", at(b))
	}
	threadAt(b).regs.sp += 8
	m.call(cpu(b), nrSigreturn)
	if threadAt(b).regs.ip != 0 || threadAt(b).pending != 0 || threadAt(b).mask != 0 {
		t.Errorf("afterwards it is at %s, with signals %#x, mask %#x", at(b), threadAt(b).pending, threadAt(b).mask)
	}
	// What runs elsewhere is interrupted.
	m.call(cpu(a), nrTgkill, 1, uintptr(b)+1, sigURG)
	if kicked == 0 {
		t.Error("a running thread is not interrupted")
	}
	m.settle()
	if at(b) != "400017" {
		t.Errorf("the handler is %s", at(b))
	}
	m.call(cpu(a), nrTgkill, 1, 77, sigURG)
	if threadAt(a).regs.ax != uint64(errSRCH) {
		t.Error("a signal to nobody")
	}
}

// The profiler's timer counts processor time, not time.
func TestProfileTimer(t *testing.T) {
	m := newTestMachine(t, 4096, 1)
	stack, room := m.room(8), m.room(1)
	i := m.spawn()
	th := threadAt(i)
	th.regs.sp = uint64(stack) + 8*pageSize
	actions[sigPROF] = action{handler: 0x400000, restorer: 1}
	event, id, spec := room, room+64, room+128
	store32(event+8, sigPROF)
	store32(event+12, 4)
	store32(event+16, uint32(i)+1)
	m.call(cpuAt(0), nrTimerCreate, 3, event, id)
	*at[[4]int64](spec) = [4]int64{0, 10e6, 0, 3e6} // every 10 ms, first after 3
	m.call(cpuAt(0), nrTimerSettime, uintptr(load32(id)), 0, spec, 0)
	if th.regs.ax != 0 {
		t.Fatalf("the timer cannot be set: %d", int64(th.regs.ax))
	}
	ticks := 0
	run := func(ns int64) {
		for range ns / 100_000 {
			m.pass(100_000)
			if th.regs.ip == 0x400000 {
				ticks++
				th.regs.sp += 8
				m.call(cpuAt(0), nrSigreturn)
			}
		}
	}
	if run(2_900_000); ticks != 0 {
		t.Error("it comes too soon")
	}
	if run(200_000); ticks != 1 {
		t.Error("the first does not come")
	}
	if run(1e9); ticks < 99 || ticks > 101 {
		t.Errorf("%d ticks in a second", ticks)
	}
	*at[[2]int64](room + 256) = [2]int64{5, 0}
	before := ticks
	m.call(cpuAt(0), nrNanosleep, room+256)
	m.pass(5e9)
	if th.state != threadRunning || ticks != before {
		t.Errorf("asleep it had %d ticks", ticks-before)
	}
	m.call(cpuAt(0), nrTimerDelete, uintptr(load32(id)))
	if run(1e9); ticks > before+1 {
		t.Errorf("deleted it had %d ticks", ticks-before)
	}
}

// A signal ends a wait that it may interrupt; others it outlasts.
func TestSignalInterrupts(t *testing.T) {
	const timespec, futexWord, events = 0, 64, 128
	for _, w := range []struct {
		name   string
		args   []uintptr // of the call that waits; small ones are places in room
		ended  bool
		result uintptr
	}{
		{"a futex", []uintptr{nrFutex, futexWord, 128, 0, 0}, true, errINTR},
		{"epoll", []uintptr{nrEpollWait, 3, events, 1, ^uintptr(0)}, true, errINTR},
		{"a worker", []uintptr{callNext, events}, true, errINTR},
		{"the poller", []uintptr{callAwaitEvents}, true, 0},
		{"a sleep", []uintptr{nrNanosleep, timespec}, false, 0},
	} {
		m := newTestMachine(t, 4096, 2)
		room, stack := m.room(1), m.room(8)
		a, b := m.spawn(), m.spawn()
		m.settle()
		threadAt(b).regs.sp = uint64(stack + 8*pageSize)
		cpu := func(i int32) *processor { return cpuAt(int(threadAt(i).cpu)) }
		m.call(cpu(b), nrEpollCreate1)
		*at[uint64](room) = 1
		args := append([]uintptr(nil), w.args[1:]...)
		for k := range args {
			if place := k == 0 && w.args[0] != nrEpollWait || k == 1 && w.args[0] == nrEpollWait; place {
				args[k] += room
			}
		}
		m.call(cpu(b), w.args[0], args...)
		if threadAt(b).state != threadBlocked {
			t.Fatalf("%s: no wait", w.name)
		}
		m.call(cpu(a), nrTgkill, 1, uintptr(b)+1, sigURG)
		if threadAt(b).state != threadBlocked {
			t.Fatalf("%s: ended by a signal without a handler", w.name)
		}
		threadAt(b).pending = 0
		actions[sigURG] = action{handler: 0x400000, restorer: 1}
		m.call(cpu(a), nrTgkill, 1, uintptr(b)+1, sigURG)
		m.settle()
		if ended := threadAt(b).state == threadRunning; ended != w.ended {
			t.Fatalf("%s: ended is %v", w.name, ended)
		}
		if !w.ended {
			continue
		}
		if threadAt(b).regs.ip != 0x400000 {
			t.Errorf("%s: no handler runs", w.name)
		}
		threadAt(b).regs.sp += 8
		m.call(cpu(b), nrSigreturn)
		if ax := uintptr(threadAt(b).regs.ax); ax != w.result {
			t.Errorf("%s: %d after the handler", w.name, int64(ax))
		}
		if idleFirst != nobody || idleCount != 0 || pollerWaits != nobody {
			t.Errorf("%s: still in a list", w.name)
		}
	}
}
