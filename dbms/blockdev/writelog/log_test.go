package writelog

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev"
)

func filled(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }

func TestReader(t *testing.T) {
	want := []Entry{
		{Offset: 512, Length: 1024, Data: filled(1, 1024)},
		{Flags: FlagFlush},
		{Flags: FlagMark, Data: []byte("here")},
		{Offset: 1024, Length: 4096, Flags: FlagDiscard},
		{Offset: 0, Length: 512, Flags: FlagFUA | FlagFlush, Data: filled(2, 512)},
	}
	var b Log
	for _, e := range want {
		b.Append(e)
	}
	r, err := NewReader(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		e, err := r.Next()
		if err != nil || e.Offset != w.Offset || e.Length != w.Length || e.Flags != w.Flags || !bytes.Equal(e.Data, w.Data) {
			t.Fatalf("entry %d: %+v, %v", i, e, err)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Fatalf("after the last: %v", err)
	}
}

// TestReplay: a flushed write is in every state after its flush; an unflushed one
// in some and not in others.
func TestReplay(t *testing.T) {
	var b Log
	b.Append(Entry{Offset: 0, Length: 512, Data: filled(1, 512)})
	b.Append(Entry{Flags: FlagFlush})
	b.Append(Entry{Offset: 512, Length: 1024, Data: filled(2, 1024)})
	seen := map[[3]byte]int{}
	err := Replay(bytes.NewReader(b.Bytes()), Options{Base: blockdev.NewMemory(1<<20, 512), Seed: 1, Subsets: 100}, func(s State) error {
		p := make([]byte, 1536)
		if _, err := s.Device.ReadAt(p, 0); err != nil {
			return err
		}
		if s.Entry >= 2 && p[0] != 1 {
			return errors.New("a flushed write is lost")
		}
		if s.Entry == 3 {
			seen[[3]byte{p[0], p[512], p[1024]}]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range [][3]byte{{1, 0, 0}, {1, 2, 0}, {1, 0, 2}, {1, 2, 2}} {
		if seen[state] == 0 {
			t.Errorf("state %v never came up: %v", state, seen)
		}
	}
}

func TestReplayTellsTheState(t *testing.T) {
	var b Log
	b.Append(Entry{Offset: 0, Length: 512, Data: filled(1, 512)})
	b.Append(Entry{Flags: FlagFlush})
	bad := errors.New("bad")
	err := Replay(bytes.NewReader(b.Bytes()), Options{Base: blockdev.NewMemory(1<<20, 512)}, func(State) error { return bad })
	if !errors.Is(err, bad) {
		t.Fatal(err)
	}
}

func FuzzReader(f *testing.F) {
	var b Log
	b.Append(Entry{Offset: 512, Length: 1024, Data: filled(1, 1024)})
	b.Append(Entry{Flags: FlagMark, Data: []byte("here")})
	b.Append(Entry{Offset: 0, Length: 1 << 19, Flags: FlagDiscard})
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, log []byte) {
		judged := 0
		err := Replay(bytes.NewReader(log), Options{Base: blockdev.NewMemory(1<<20, 512), Subsets: 1}, func(State) error {
			judged++
			return nil
		})
		if err == nil && judged == 0 {
			t.Fatal("no state was judged")
		}
	})
}
