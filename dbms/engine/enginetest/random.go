package enginetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/enginetest/model"
)

// testModel does the same random things to the engine and to the model, and
// compares what both then say.
func testModel(t *testing.T, s *store) {
	seed, steps := setting(t, "ENGINE_SEED", rand.Int64()), setting(t, "ENGINE_STEPS", 300)
	t.Logf("to repeat: ENGINE_SEED=%d ENGINE_STEPS=%d", seed, steps)
	m := &store{Engine: model.New(nil), t: t, ctx: s.ctx}
	p := &pair{t: t, rng: rand.New(rand.NewPCG(uint64(seed), 0)), sides: [2]*side{newSide(s), newSide(m)}}
	for i := int64(0); i < steps && !t.Failed(); i++ {
		p.step(int(i))
	}
	for range 20 {
		p.compare()
	}
}

// setting reads a number from the environment.
func setting(t *testing.T, name string, otherwise int64) int64 {
	text, there := os.LookupEnv(name)
	if !there {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// pair is the engine under test and the model.
type pair struct {
	t        *testing.T
	rng      *rand.Rand
	sides    [2]*side
	ids      []string
	restores []restored
}

// side is one of them. Versions are known by the order in which they were made.
type side struct {
	*store
	versions []engine.Version
	names    map[engine.Version]string
}

// restored is what transaction number n restored.
type restored struct {
	n   int
	rng engine.Range
}

func newSide(s *store) *side {
	v := s.newest()
	return &side{store: s, versions: []engine.Version{v}, names: map[engine.Version]string{v: "0", "": ""}}
}

// add names the version of a transaction, unless it was made before.
func (s *side) add(v engine.Version) {
	if _, known := s.names[v]; !known {
		s.names[v] = strconv.Itoa(len(s.versions))
		s.versions = append(s.versions, v)
	}
}

var randomKeys = []string{
	"a", "a\x00", "a\x00\x00", "a\x00\xff", "a\x01", "aa", "b", "b\xff", "b\xff\xff", "c", "d", "e",
	strings.Repeat("f", 3000), strings.Repeat("f", 3000) + "g", "\xff", "\xff\xff",
}

func (p *pair) key() []byte { return []byte(randomKeys[p.rng.IntN(len(randomKeys))]) }

// bound is a key, or none.
func (p *pair) bound() []byte {
	if p.rng.IntN(6) == 0 {
		return nil
	}
	return p.key()
}

func (p *pair) randomRange() engine.Range {
	r := engine.Range{Low: p.bound(), High: p.bound()}
	if r.High != nil && string(r.Low) > string(r.High) && p.rng.IntN(8) > 0 {
		r.Low, r.High = r.High, r.Low
	}
	return r
}

func (p *pair) step(n int) {
	switch k := p.rng.IntN(100); {
	case k < 50:
		p.transact(p.writes(n, nil), nil)
	case k < 62:
		r := restore{rng: p.randomRange(), to: p.rng.IntN(len(p.sides[0].versions)+1) - 1}
		p.transact(p.writes(n, &r), &r)
	case k < 66:
		p.fail(n)
	case k < 70 && len(p.ids) > 0:
		p.replay()
	default:
		p.compare()
	}
}

// restore is one to the state after transaction number to, -1 being none at all.
type restore struct {
	rng engine.Range
	to  int
}

// writes makes pairs for write, up to four of them, outside of what is restored.
func (p *pair) writes(n int, r *restore) (pairs []string) {
	used := map[string]bool{}
	for range p.rng.IntN(5) {
		key := string(p.key())
		if used[key] || r != nil && r.rng.Contains([]byte(key)) {
			continue
		}
		used[key] = true
		value := fmt.Sprintf("%d.%d", n, len(pairs))
		if p.rng.IntN(4) == 0 {
			value = "-"
		}
		pairs = append(pairs, key, value)
	}
	return pairs
}

// transact runs a transaction on both sides.
func (p *pair) transact(pairs []string, r *restore) {
	p.t.Helper()
	op := &engine.Op{User: fmt.Sprint("user", p.rng.IntN(3)), NoWait: p.rng.IntN(2) == 0}
	if p.rng.IntN(3) == 0 {
		op.ID = fmt.Sprint("id", len(p.ids))
		p.ids = append(p.ids, op.ID)
	}
	for _, s := range p.sides {
		v, err := s.Update(s.ctx, op, func(tx engine.Tx) error {
			tx.Count(1, len(pairs)/2)
			if r != nil {
				if err := tx.Restore(r.rng, s.version(r.to)); err != nil {
					return err
				}
			}
			return write(tx, pairs...)
		})
		if err != nil {
			p.t.Fatalf("Update: %v", err)
		}
		s.add(v)
	}
	if r != nil {
		p.restores = append(p.restores, restored{n: len(p.sides[0].versions) - 1, rng: r.rng})
	}
}

// version is that of transaction number n, or zero for -1.
func (s *side) version(n int) engine.Version {
	if n < 0 {
		return ""
	}
	return s.versions[n]
}

// fail runs a transaction that fails, on the engine alone.
func (p *pair) fail(n int) {
	mine := errors.New("mine")
	pairs := p.writes(n, nil)
	_, err := p.sides[0].Update(p.sides[0].ctx, plain, func(tx engine.Tx) error {
		return errors.Join(write(tx, pairs...), mine)
	})
	wantError(p.t, "Update whose function fails", err, mine)
}

// replay runs an operation again, which does nothing.
func (p *pair) replay() {
	op := &engine.Op{ID: p.ids[p.rng.IntN(len(p.ids))]}
	var names [2]string
	for i, s := range p.sides {
		v, err := s.Update(s.ctx, op, func(engine.Tx) error { return errors.New("runs again") })
		if err != nil {
			p.t.Fatalf("an operation again: %v", err)
		}
		names[i] = s.names[v]
	}
	if names[0] != names[1] {
		p.t.Errorf("operation %s was transaction %s, want %s", op.ID, names[0], names[1])
	}
}

// compare reads both sides at a version, of which there may be a Reader's At.
func (p *pair) compare() {
	n := p.rng.IntN(len(p.sides[0].versions))
	base := n + p.rng.IntN(len(p.sides[0].versions)-n)
	if p.rng.IntN(2) == 0 {
		base = n
	}
	from := p.rng.IntN(n + 1)
	rng, key := p.randomRange(), p.key()
	keys := [][]byte{p.key(), p.key(), p.key(), key}
	var told [2]string
	for i, s := range p.sides {
		s.view(s.versions[base], func(r engine.Reader) (err error) {
			if r, err = r.At(s.versions[n]); err != nil {
				return err
			}
			told[i], err = p.describe(s, r, rng, key, keys, s.versions[from])
			return err
		})
	}
	if told[0] != told[1] {
		p.t.Errorf("at transaction %d, range [%.20q,%.20q), key %.20q, since %d: the engine says\n%s\nand the model\n%s", n, rng.Low, rng.High, key, from, told[0], told[1])
	}
}

// describe says all that a reader can tell.
func (p *pair) describe(s *side, r engine.Reader, rng engine.Range, key []byte, keys [][]byte, from engine.Version) (string, error) {
	var lines []string
	for _, reverse := range []bool{false, true} {
		got, err := scan(r, rng, reverse)
		if err != nil {
			return "", err
		}
		lines = append(lines, fmt.Sprintf("scan: %q", got))
	}
	err := r.GetBatch(keys, func(i int, value []byte) error {
		lines = append(lines, fmt.Sprintf("batch %d: %q", i, value))
		return nil
	})
	if err != nil {
		return "", err
	}
	value, found, err := r.Get(key)
	if err != nil {
		return "", err
	}
	lines = append(lines, fmt.Sprintf("get: %q %v", value, found))
	past, err := p.describePast(s, r, rng, key, from)
	return strings.Join(append(lines, past...), "\n"), err
}

func (p *pair) describePast(s *side, r engine.Reader, rng engine.Range, key []byte, from engine.Version) (lines []string, err error) {
	for row, err := range r.History(key) {
		if err != nil {
			return nil, err
		}
		if !p.madeByRestore(s.names[row.Version], key) {
			if row.Until > r.Version() {
				row.Until = ""
			}
			lines = append(lines, "history: "+describe(row, s.names))
		}
	}
	for row, err := range r.Changes(rng, from) {
		if err != nil {
			return nil, err
		}
		row.Until, row.Hidden = "", false
		lines = append(lines, "change: "+describe(row, s.names))
	}
	for c, err := range r.Commits(from, true) {
		if err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("commit: %s by %s, %d read, %d written", s.names[c.Version], c.Op.User, c.RowsRead, c.RowsWritten))
	}
	return lines, nil
}

// madeByRestore tells whether the transaction of that number restored key.
func (p *pair) madeByRestore(name string, key []byte) bool {
	return slices.ContainsFunc(p.restores, func(r restored) bool {
		return strconv.Itoa(r.n) == name && r.rng.Contains(key)
	})
}
