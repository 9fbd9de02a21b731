package embedded

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Each codec: what it reads without an error, it writes as it was.

func FuzzRow(f *testing.F) {
	for _, r := range []row{{since: 1}, {since: 2, flags: rowHeader, header: []byte("h"), value: []byte("v")}, {since: 3, flags: rowRestored}, {since: 4, flags: rowSmall | rowRestored, header: []byte("ab"), value: []byte("v")}} {
		b := make([]byte, r.size())
		r.put(b)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRow(b)
		if err != nil {
			return
		}
		again := make([]byte, r.size())
		r.put(again)
		back, err := parseRow(again)
		if err != nil || !reflect.DeepEqual(normal(r), normal(back)) {
			t.Errorf("%x is read as %v, written as %x, read as %v, %v", b, r, again, back, err)
		}
	})
}

func normal(r row) [4]string {
	return [4]string{r.since.String(), string(r.flags), string(r.header), string(r.value)}
}

func FuzzHistoryKey(f *testing.F) {
	for _, k := range []string{"a", "\x00", "a\x00b", "\x00\xff", "\xff", "\x00\x01"} {
		f.Add([]byte(k), []byte("a\x00"), uint64(7))
	}
	f.Fuzz(func(t *testing.T, key, other []byte, until uint64) {
		b := appendHistory(nil, key, version(until))
		group, v, err := splitHistory(b)
		if err != nil || v != version(until) {
			t.Fatalf("%x: %v, %v", b, v, err)
		}
		if back, err := appendUnescaped(nil, group); err != nil || !bytes.Equal(back, key) {
			t.Fatalf("%x is read as %x, %v", key, back, err)
		}
		// Order is kept, also beside a bound without terminator.
		o := appendHistory(nil, other, version(until))
		if want := bytes.Compare(key, other); bytes.Compare(b, o) != want {
			t.Fatalf("%x and %x are out of order", key, other)
		}
		if bytes.Compare(key, other) < 0 != (bytes.Compare(b, appendEscaped(nil, other)) < 0) {
			t.Fatalf("%x is on the wrong side of the bound %x", key, other)
		}
		_, _, _ = splitHistory(key)
		_, _ = appendUnescaped(nil, key)
	})
}

func FuzzCommit(f *testing.F) {
	for _, c := range []commit{
		{who: 1, read: 1, written: 1},
		{who: 255, read: smallRead, written: smallWritten},
		{who: 256},
		{who: 2, read: smallRead + 1},
		{who: 2, written: smallWritten + 1},
		{user: "u", program: "p", name: "n", task: "t", id: "i", skew: -5, traced: true},
	} {
		f.Add(c.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCommit(b)
		if err != nil {
			return
		}
		if back, err := parseCommit(c.append(nil)); err != nil || back != c {
			t.Errorf("%v is read as %v, %v", c, back, err)
		}
		_, _ = c.external(5, newWhoTable())
	})
}

func FuzzBlock(f *testing.F) {
	var b block
	b.add(5, []byte("one"))
	b.add(9, []byte("two"))
	b.add(10, appendSmall(nil, smallRecord(1, 1, 1)))
	b.add(11, appendSmall(nil, smallRecord(1, 1, 1)))
	f.Add(b.bytes)
	f.Add(appendTrace(nil, []byte("record"), [][]byte{[]byte("k1"), []byte("k2")}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var again block
		last := noVersion
		err := parseBlock(raw, func(v version, record []byte) error {
			if v <= last {
				t.Fatalf("%v follows %v", v, last)
			}
			last = v
			again.add(v, record)
			return nil
		})
		if err == nil && again.count > 0 {
			n := 0
			if err := parseBlock(again.bytes, func(version, []byte) error { n++; return nil }); err != nil || n != again.count {
				t.Errorf("%d of %d records, %v", n, again.count, err)
			}
		}
		_, _, _ = parseTrace(raw)
	})
}

func FuzzHide(f *testing.F) {
	h := &hide{r: engine.Range{Low: []byte("a"), High: []byte("b")}, to: 4, until: 9}
	f.Add(h.storeKey()[2:], h.encode())
	h = &hide{to: 0, until: 9, index: 3, repaired: true}
	f.Add(h.storeKey()[2:], h.encode())
	f.Fuzz(func(t *testing.T, key, value []byte) {
		h, err := parseHide(key, value)
		if err != nil {
			return
		}
		back, err := parseHide(h.storeKey()[2:], h.encode())
		if err != nil || !reflect.DeepEqual(h, back) {
			t.Errorf("%v is read as %v, %v", h, back, err)
		}
	})
}

func FuzzRetention(f *testing.F) {
	s := newRetention(time.Hour, 5).with(engine.Range{Low: []byte("b"), High: []byte("d")}, time.Minute)
	f.Add(s.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseRetention(b)
		if err != nil {
			return
		}
		back, err := parseRetention(s.encode())
		if err != nil || len(back) != len(s) {
			t.Errorf("%v is read as %v, %v", s, back, err)
		}
		_ = s.horizon(engine.Range{Low: b})
		_ = s.with(engine.Range{Low: []byte("c")}, time.Hour)
	})
}

func FuzzMeta(f *testing.F) {
	f.Add(appendFormat(nil, 7))
	f.Add(who{"u", "p", "n"}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if born, err := parseFormat(b); err == nil && !bytes.Equal(appendFormat(nil, born), b) {
			t.Errorf("format %x", b)
		}
		if w, err := parseWho(b); err == nil {
			if back, err := parseWho(w.encode()); err != nil || back != w {
				t.Errorf("who %x", b)
			}
		}
	})
}
