package history

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// parse makes a history of lines like
//
//	1-4 @2 x:1 r(x)=1 r(y)=- [a,m)=a:1,b:2 del(z) aborted
//
// times, version, writes, reads, range reads, deletions, outcome. The values of
// list keys are separated by dots here: x:1.2 is the list 1,2.
func parse(t *testing.T, text string) *History {
	t.Helper()
	h := &History{}
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var x Txn
		for _, word := range strings.Fields(line) {
			word = strings.ReplaceAll(word, ".", ",")
			switch {
			case word == "aborted":
				x.Outcome = Aborted
			case word == "unknown":
				x.Outcome = Unknown
			case word == "view":
				x.ReadOnly = true
			case word[0] == '@':
				x.Version = word[1:]
			case word[0] >= '0' && word[0] <= '9':
				if _, err := fmt.Sscanf(word, "%d-%d", &x.Start, &x.End); err != nil {
					t.Fatal(err)
				}
			default:
				x.Ops = append(x.Ops, parseOp(word))
			}
		}
		h.Txns = append(h.Txns, x)
	}
	return h
}

func parseOp(word string) Op {
	left, value, isRead := strings.Cut(word, "=")
	switch {
	case strings.HasPrefix(word, "del("):
		return Op{Write: true, Key: word[4 : len(word)-1]}
	case word[0] == '[':
		low, high, _ := strings.Cut(left[1:len(left)-1], ",")
		op := Op{Range: true, Low: low, High: high}
		for _, p := range strings.Fields(strings.ReplaceAll(value, ";", " ")) {
			key, v, _ := strings.Cut(p, ":")
			op.Pairs = append(op.Pairs, Pair{key, v})
		}
		return op
	case isRead:
		op := Op{Key: left[2 : len(left)-1], Value: value, Found: value != "-"}
		if !op.Found {
			op.Value = ""
		}
		return op
	}
	key, value, _ := strings.Cut(word, ":")
	return Op{Write: true, Key: key, Value: value, Found: true}
}

// TestPlanted: each history has the anomalies that were planted in it, and no
// other.
func TestPlanted(t *testing.T) {
	for name, try := range map[string]struct{ text, want string }{
		"serial": {`
			1-2 @1 r(x)=- x:1
			3-4 @2 r(x)=1 x:1.2 y:1
			5-6 @3 [a,z)=x:1.2;y:1
		`, ""},
		"concurrent": {`
			1-9 @1 r(x)=- x:1
			1-9 @2 r(x)=1 x:1.2
			1-9 @2 view r(x)=1.2 r(y)=-
			1-9 @3 r(y)=- y:1
		`, ""},
		"dirty write": {`
			1-9 x:1 y:1.2
			1-9 x:1.2 y:1
			1-9 r(x)=1.2 r(y)=1.2
		`, "G0"},
		"circular information": {`
			1-9 x:1 r(y)=1
			1-9 y:1 r(x)=1
		`, "G1c"},
		"lost update": {`
			1-9 r(x)=1 x:1.2
			1-9 x:1
			1-9 r(x)=1 x:1.3
		`, "incompatible order, lost"},
		"read skew": {`
			1-9 x:1 y:1
			1-9 r(x)=- r(y)=1
		`, "G-single"},
		"stale read-modify-write": {`
			1-9 x:1 y:1
			1-9 x:1.2 y:1.2
			1-9 r(x)=1 r(y)=1.2 z:1
		`, "G-single"},
		"write skew": {`
			1-9 r(x)=- r(y)=- x:1
			1-9 r(x)=- r(y)=- y:1
		`, "G2-item"},
		"phantom": {`
			1-9 [a,m)= a:1
			1-9 [a,m)= b:1
		`, "G2"},
		"phantom and item": {`
			1-9 [a,m)=b:1 c:1
			1-9 b:1
			1-9 r(c)=- b:1.2 r(x)=-
			1-9 [a,m)=b:1 x:1 c:1.2
		`, "G2-item"},
		"half of a transaction in a range": {`
			1-9 a:1 b:1
			1-9 [a,m)=a:1
		`, "G2"},
		"batch processing": {`
			1-9 r(batch)=- r(receipts)=- receipts:1
			1-9 r(batch)=- batch:1
			1-9 r(batch)=1 r(receipts)=-
		`, "G2-item"},
		"aborted read": {`
			1-9 x:1 aborted
			1-9 r(x)=1
		`, "G1a"},
		"aborted, not read": {`
			1-9 x:1 aborted
			1-9 r(x)=-
		`, ""},
		"unknown and read": {`
			1-9 x:1 y:1 unknown
			1-9 r(x)=1 r(y)=1
		`, ""},
		"unknown and read in part": {`
			1-9 x:1 y:1 unknown
			1-9 r(x)=1 r(y)=-
			1-9 r(y)=1
		`, "G-single"},
		"intermediate read": {`
			1-9 x:1 x:1.2
			1-9 r(x)=1
			1-9 r(x)=1.2
		`, "G1b"},
		"own write unseen": {`
			1-9 x:1 r(x)=-
		`, "internal"},
		"not repeatable": {`
			1-9 x:1
			1-9 r(x)=- r(x)=1
		`, "internal"},
		"garbage": {`
			1-9 r(x)=7
		`, "garbage"},
		"stale in real time": {`
			1-2 x:1
			3-4 r(x)=-
		`, "G-single in real time"},
		"stale, but concurrent": {`
			1-3 x:1
			3-4 r(x)=-
		`, ""},
		"write skew in real time": {`
			1-2 x:1
			3-4 y:1
			1-9 r(x)=- r(y)=1
		`, "G-single in real time"},
		"against the versions": {`
			1-9 @2 x:1
			1-9 @1 r(x)=1 x:1.2
		`, "order"},
		"view of too much": {`
			1-9 @2 x:1
			1-9 @1 view r(x)=1
		`, "order"},
		"view of too little": {`
			1-9 @2 x:1
			1-9 @2 view r(x)=-
		`, "order"},
	} {
		t.Run(name, func(t *testing.T) {
			h := parse(t, try.text)
			bad := append(h.ListOrder(), h.Check()...)
			var kinds []string
			for _, a := range bad {
				kinds = append(kinds, a.Kind)
			}
			slices.Sort(kinds)
			kinds = slices.Compact(kinds)
			if got := strings.Join(kinds, ", "); !strings.HasPrefix(got, try.want) || try.want == "" && got != "" {
				t.Errorf("found %q, want %q: %v", got, try.want, bad)
			}
		})
	}
}

// TestDeletions: an order that was told, with keys that come and go.
func TestDeletions(t *testing.T) {
	h := parse(t, `
		1-9 x:1
		1-9 del(x)
		1-9 [a,z)= y:1
		1-9 r(y)=- x:2
	`)
	h.Order = map[string][]State{
		"x": {{Value: "1", Found: true, Txn: 0}, {Txn: 1}, {Value: "2", Found: true, Txn: 3}},
		"y": {{Value: "1", Found: true, Txn: 2}},
	}
	if bad := h.Check(); len(bad) != 0 {
		t.Errorf("which absence of x was read is not clear, but: %v", bad)
	}
	h.Txns[3].Ops[0] = Op{Key: "y", Value: "1", Found: true}
	h.Txns[0].Ops = append(h.Txns[0].Ops, Op{Key: "x", Value: "2", Found: true})
	if bad := h.Check(); len(bad) == 0 {
		t.Error("a transaction reads what came after its own write, and nothing is found")
	}
}

// TestTwice: values must be unique.
func TestTwice(t *testing.T) {
	h := parse(t, "1-2 x:1\n3-4 x:1\n")
	if bad := h.Check(); len(bad) != 1 || bad[0].Kind != "garbage" {
		t.Errorf("a value that is written twice: %v", bad)
	}
}

// TestRandomSerial: a serial history has no anomaly, and one in which a read of
// an old value is planted has.
func TestRandomSerial(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		h := &History{}
		now := map[string]string{}
		for i := range 60 {
			x := Txn{Start: int64(2 * i), End: int64(2*i + 1), Version: fmt.Sprintf("%04d", i)}
			for range 1 + rng.IntN(3) {
				key := string(rune('a' + rng.IntN(5)))
				if slices.ContainsFunc(x.Ops, func(o Op) bool { return o.Key == key }) {
					continue
				}
				value, found := now[key]
				x.Ops = append(x.Ops, Op{Key: key, Value: value, Found: found})
				if rng.IntN(2) == 0 {
					next := strings.TrimPrefix(fmt.Sprintf("%s,%d", value, i), ",")
					now[key] = next
					x.Ops = append(x.Ops, Op{Write: true, Key: key, Value: next, Found: true})
				}
			}
			h.Txns = append(h.Txns, x)
		}
		if bad := append(h.ListOrder(), h.Check()...); len(bad) != 0 {
			t.Fatalf("seed %d: %v", seed, bad)
		}
		if !plantStale(h, rng) {
			continue
		}
		if bad := append(h.ListOrder(), h.Check()...); len(bad) == 0 {
			t.Fatalf("seed %d: the planted stale read is not found", seed)
		}
	}
}

// plantStale makes a transaction that only reads a key read its previous value.
func plantStale(h *History, rng *rand.Rand) bool {
	for _, i := range rng.Perm(len(h.Txns)) {
		for j := range h.Txns[i].Ops {
			op := &h.Txns[i].Ops[j]
			written := slices.ContainsFunc(h.Txns[i].Ops, func(o Op) bool { return o.Write && o.Key == op.Key })
			at := strings.LastIndexByte(op.Value, ',')
			if op.Write || written || at < 0 {
				continue
			}
			op.Value = op.Value[:at]
			return true
		}
	}
	return false
}
