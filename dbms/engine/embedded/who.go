package embedded

import (
	"encoding/binary"
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tuplix/tuplix/dbms/engine"
)

// whoTable gives numbers to the users, programs and procedure names of
// operations, which repeat: a record of a commit then holds a byte or two instead
// of three texts. What does not fit into the table is written out each time.
//
//	'm' 'w' number(4)  ->  user, program, name: each its length (uvarint) and text
//
// A number is written with the first transaction that uses it, and never removed.
type whoTable struct {
	mu     sync.RWMutex
	names  []who // by number less 1
	number map[who]uint32
}

// author is who has run a transaction, with the number of that. A tx keeps the last, as
// that is often who runs the next one: what most transactions pay for being recorded
// is this comparison.
type author struct {
	who
	number uint32 // 0 if there is none
}

// runs tells whether it is who runs op.
func (a *author) runs(op *engine.Op) bool {
	return a.number != 0 && op.Name == a.name && op.Program == a.program && op.User == a.user
}

// of makes it who runs op.
func (a *author) of(op *engine.Op, table *whoTable) {
	a.who = whoDid(op)
	a.number = table.find(a.who)
}

type who struct{ user, program, name string }

func whoDid(op *engine.Op) who { return who{op.User, op.Program, op.Name} }

// maxWho bounds the table in memory.
const maxWho = 8192

var errWho = errors.New("unknown number of a user, program and procedure")

func newWhoTable() *whoTable { return &whoTable{number: map[who]uint32{}} }

// find returns the number of w, 0 if it has none.
func (t *whoTable) find(w who) uint32 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.number[w]
}

// next is the number that a new entry gets, 0 if the table is full.
func (t *whoTable) next() uint32 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if len(t.names) >= maxWho {
		return 0
	}
	return uint32(len(t.names)) + 1
}

// add enters what a committed transaction has written as number n.
func (t *whoTable) add(n uint32, w who) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n == uint32(len(t.names))+1 {
		t.names = append(t.names, w)
		t.number[w] = n
	}
}

func (t *whoTable) lookup(n uint32) (user, program, name string, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if n == 0 || n > uint32(len(t.names)) {
		return "", "", "", false
	}
	w := t.names[n-1]
	return w.user, w.program, w.name, true
}

func (t *whoTable) len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.names)
}

func whoKey(n uint32) []byte { return binary.BigEndian.AppendUint32(metaKey(metaWho), n) }

func (w who) encode() []byte {
	return appendText(appendText(appendText(nil, w.user), w.program), w.name)
}

func parseWho(b []byte) (who, error) {
	d := decoder{rest: b}
	w := who{user: d.text(), program: d.text(), name: d.text()}
	if d.failed || len(d.rest) > 0 {
		return who{}, errWho
	}
	return w, nil
}

// load reads the table from the store.
func (t *whoTable) load(db pebble.Reader) error {
	return eachMeta(db, metaWho, func(key, value []byte) error {
		w, err := parseWho(value)
		if err != nil {
			return err
		}
		if len(key) != 4 || binary.BigEndian.Uint32(key) != uint32(t.len())+1 {
			return errWho
		}
		t.add(uint32(t.len())+1, w)
		return nil
	})
}
