package message_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tuplix/tuplix/dbms/blockdev/crash"
	"github.com/tuplix/tuplix/dbms/blockfs"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/message"
)

// TestCrashTopics cuts the power while messages are published, read and acknowledged, also
// in transactions of which some fail, and while topics and subscriptions come and go. What
// is there afterwards was there at one moment before, and not before the last procedure
// that was to be durable; readers get it in order, from where they had acknowledged.
func TestCrashTopics(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { runCrash(t, rand.New(rand.NewPCG(seed, 14))) })
	}
}

const (
	crashDisk  = 48 << 20
	crashTurns = 10
	keptOfFew  = 5 // the limit of the topic "few"
)

func runCrash(t *testing.T, r *rand.Rand) {
	x := &crashing{Rand: r, disk: crash.New(crashDisk, 512), now: world{}}
	x.fixture = open(t, x.volume(t))
	for range crashTurns {
		for _, name := range []string{"all", "few"} {
			if _, there := x.now[name]; !there { // at first, and where the power was cut before it was made again
				x.create(name)
			}
		}
		x.disk.ForkAfter(x.IntN(60))
		for !x.disk.Cut() {
			x.step()
		}
		x.close()
		disk, err := x.disk.Crash(x.Rand)
		x.must(err)
		x.disk = disk
		x.fs = x.volume(t)
		x.reopen()
		x.judge()
	}
}

// world is what the topics hold, by their names.
type world map[string]topic

type topic struct {
	Next uint64
	Kept []published
	Subs map[string]subscribed
}

type published struct {
	Offset uint64
	Body   string
}

type subscribed struct{ Offset, Token uint64 }

func (w world) clone() world {
	w = maps.Clone(w)
	for name, t := range w {
		w[name] = topic{t.Next, slices.Clone(t.Kept), maps.Clone(t.Subs)}
	}
	return w
}

// publish adds a message, and returns its offset.
func (w world) publish(name, body string) uint64 {
	t := w[name]
	offset := t.Next
	t.Next++
	t.Kept = append(t.Kept, published{offset, body})
	if name == "few" && len(t.Kept) > keptOfFew {
		t.Kept = t.Kept[1:]
	}
	w[name] = t
	return offset
}

// crashing is the test over all turns.
type crashing struct {
	*fixture
	*rand.Rand
	disk    *crash.Device
	now     world
	past    []string // what the world was after each step, since the last crash
	durable int      // the last of past that is on the disk
	sent    int
}

func (x *crashing) volume(t *testing.T) *blockfs.FS {
	t.Helper()
	volume, err := blockfs.Open(x.disk, blockfs.Options{FormatBlank: true})
	if err != nil {
		t.Fatal(err)
	}
	return volume
}

func (x *crashing) must(err error) {
	x.Helper()
	if err != nil {
		x.Fatal(err)
	}
}

// became notes what the world is after a step.
func (x *crashing) became(w world, durable bool) {
	x.now, x.past = w, append(x.past, fmt.Sprint(w))
	if durable && !x.disk.Cut() {
		x.durable = len(x.past) - 1
	}
}

func (x *crashing) create(name string) {
	t := message.Topic{Name: name}
	if name == "few" {
		t.Limit = keptOfFew
	}
	x.must(x.CreateTopic(x.Context(), t))
	w := x.now.clone()
	w[name] = topic{Next: 1, Subs: map[string]subscribed{}}
	x.became(w, true)
}

func (x *crashing) step() {
	name, sub := []string{"all", "few"}[x.IntN(2)], fmt.Sprint(x.IntN(3))
	w := x.now.clone()
	_, there := w[name].Subs[sub]
	switch n := x.IntN(40); {
	case n == 0:
		x.must(x.DeleteTopic(x.Context(), name))
		delete(w, name)
		x.became(w, true)
		x.create(name)
	case n == 1 && there:
		x.must(x.Unsubscribe(x.Context(), name, sub))
		delete(w[name].Subs, sub)
		x.became(w, true)
	case n < 10 && !there:
		x.subscribe(w, name, sub)
	case n < 20 && there:
		x.read(name, sub)
	default:
		body := x.body()
		o := message.Outgoing{Body: []byte(body), Durable: x.IntN(8) == 0}
		offset, err := x.Publish(x.Context(), name, o)
		x.must(err)
		x.same(offset, w.publish(name, body))
		x.became(w, o.Durable)
	}
}

func (x *crashing) body() string {
	x.sent++
	return fmt.Sprint("body ", x.sent)
}

func (x *crashing) same(got, want any) {
	x.Helper()
	if got != want {
		x.Fatalf("got %v, want %v", got, want)
	}
}

func (x *crashing) subscribe(w world, name, sub string) {
	from, at := message.Oldest, uint64(0)
	if x.IntN(2) == 0 {
		from, at = message.Newest, w[name].Next-1
	}
	x.must(x.Subscribe(x.Context(), name, sub, from))
	w[name].Subs[sub] = subscribed{Offset: at}
	x.became(w, true)
}

// read gets what is new for a subscription, and acknowledges some of it.
func (x *crashing) read(name, sub string) {
	r, err := x.Resume(x.Context(), name, sub)
	x.must(err)
	w := x.now.clone()
	s := w[name].Subs[sub]
	s.Token++
	w[name].Subs[sub] = s
	x.became(w, false)
	var unread []uint64
	for _, want := range w[name].Kept {
		if want.Offset > s.Offset {
			got, err := r.TryNext(x.Context())
			x.must(err)
			x.same(published{got.Offset, string(got.Body)}, want)
			unread = append(unread, got.Offset)
		}
	}
	if got, err := r.TryNext(x.Context()); !errors.Is(err, message.ErrEmpty) {
		x.Fatalf("after the last message there is %+v, %v", got, err)
	}
	if len(unread) > 0 {
		x.acknowledge(r, name, sub, unread[x.IntN(len(unread))])
	}
}

// acknowledge does so by itself, or in a transaction that publishes, too, and may fail.
func (x *crashing) acknowledge(r *message.Reader, name, sub string, offset uint64) {
	w := x.now.clone()
	s := w[name].Subs[sub]
	s.Offset = offset
	w[name].Subs[sub] = s
	if x.IntN(2) == 0 {
		x.must(r.Ack(x.Context(), offset))
		x.became(w, false)
		return
	}
	op, fails := &engine.Op{NoWait: x.IntN(4) > 0}, x.IntN(3) == 0
	_, err := x.store.Update(x.Context(), op, func(tx *table.Tx) error {
		m := x.In(x.Context(), tx)
		for _, to := range []string{"all", "few", "few"} {
			body := x.body()
			offset, err := m.Publish(to, message.Outgoing{Body: []byte(body)})
			x.must(err)
			x.same(offset, w.publish(to, body))
		}
		x.must(m.AckTopic(r, offset))
		if fails {
			return errEnough
		}
		return nil
	})
	if fails && errors.Is(err, errEnough) {
		return
	}
	x.must(err)
	x.became(w, !op.NoWait)
}

// judge looks for the moment to which the crash has led back.
func (x *crashing) judge() {
	x.now = x.rows()
	found := fmt.Sprint(x.now)
	if !slices.Contains(x.past[x.durable:], found) {
		x.Fatalf("there is now\n%s\nwhich is not what was there since\n%s", found, x.past[x.durable])
	}
	x.past, x.durable = []string{found}, 0
}

// rows are the world as the tables have it.
func (x *crashing) rows() world {
	w := world{}
	x.must(x.store.View(x.Context(), func(tx *table.Tx) error {
		for row, err := range message.Topics.Scan(tx, table.Span{}) {
			x.must(err)
			w[row.Name] = topic{Next: row.Next, Subs: map[string]subscribed{}}
		}
		for row, err := range message.Publications.Scan(tx, table.Span{}) {
			x.must(err)
			t := w[row.Topic]
			t.Kept = append(t.Kept, published{row.Offset, string(row.Body)})
			w[row.Topic] = t
		}
		for row, err := range message.Subscriptions.Scan(tx, table.Span{}) {
			x.must(err)
			w[row.Topic].Subs[row.Name] = subscribed{row.Offset, row.Token}
		}
		return nil
	}))
	return w
}
