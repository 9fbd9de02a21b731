package message_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/message"
	"github.com/tuplix/tuplix/services/user"
)

// real is a fixture whose clock is the machine's.
func real(t testing.TB) (*store.Store, *message.Service) {
	t.Helper()
	s, err := store.Open(context.Background(), vfs.NewMem(), store.Options{}, append(message.Tables(), user.Tables()...)...)
	if err != nil {
		t.Fatal(err)
	}
	m, err := message.Open(context.Background(), s, message.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.CheckMemory(context.Background()); err != nil {
			t.Error(err)
		}
		m.Close()
		err := s.Check(context.Background(), func(p engine.Problem) { t.Error(p) })
		if err := errors.Join(err, s.Close()); err != nil {
			t.Error(err)
		}
	})
	return s, m
}

func create(t testing.TB, m *message.Service, boxes ...message.Mailbox) {
	t.Helper()
	for _, b := range boxes {
		if err := m.CreateMailbox(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Every way in which a message becomes ready ends a wait, and so does the removal
// of the mailbox.
func TestWait(t *testing.T) {
	_, m := real(t)
	ctx := deadline(t)
	send := func(o message.Outgoing) {
		if _, err := m.Send(ctx, "box", o); err != nil {
			t.Error(err)
		}
	}
	create(t, m, message.Mailbox{Name: "box"}, message.Mailbox{Name: "short", Lease: 50 * time.Millisecond})
	type result struct {
		d   *message.Delivery
		err error
	}
	waitFor := func(box string) chan result {
		c := make(chan result, 1)
		go func() {
			d, err := m.Receive(ctx, box)
			c <- result{d, err}
		}()
		return c
	}
	wait := func() chan result { return waitFor("box") }
	want := func(c chan result, body string) *message.Delivery {
		t.Helper()
		r := <-c
		if r.err != nil || string(r.d.Body) != body {
			t.Fatalf("received %+v, %v; want %s", r.d, r.err, body)
		}
		return r.d
	}
	c := waitFor("short")
	if _, err := m.Send(ctx, "short", message.Outgoing{Body: []byte("sent")}); err != nil {
		t.Fatal(err)
	}
	want(c, "sent")                // and not acknowledged
	want(waitFor("short"), "sent") // when the lease is over
	c = wait()
	send(message.Outgoing{Body: []byte("delayed"), Delay: 20 * time.Millisecond, Key: "k"})
	d := want(c, "delayed")
	c = wait()
	send(message.Outgoing{Body: []byte("blocked"), Key: "k"})
	if err := d.Nack(ctx, 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	d = want(c, "delayed") // not the one behind it
	c = wait()
	if err := d.Ack(ctx); err != nil {
		t.Fatal(err)
	}
	if err := want(c, "blocked").Ack(ctx); err != nil {
		t.Fatal(err)
	}
	c = wait()
	if err := m.DeleteMailbox(ctx, "box"); err != nil {
		t.Fatal(err)
	}
	if r := <-c; !errors.Is(r.err, message.ErrNoMailbox) {
		t.Errorf("the mailbox is gone: %v", r.err)
	}
	over, cancel := context.WithCancel(ctx)
	create(t, m, message.Mailbox{Name: "box"})
	go cancel()
	if _, err := m.Receive(over, "box"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A restore brings messages back, also for who waits already.
func TestRestored(t *testing.T) {
	s, m := real(t)
	ctx := deadline(t)
	create(t, m, message.Mailbox{Name: "box"})
	for _, body := range []string{"one", "two"} {
		if _, err := m.Send(ctx, "box", message.Outgoing{Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	take := func() (body string, err error) {
		err = m.Process(ctx, "box", func(_ *table.Tx, x message.Message) error { body = string(x.Body); return nil })
		return body, err
	}
	before, err := s.Update(ctx, nil, func(*table.Tx) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one", "two"} {
		if got, err := take(); got != want || err != nil {
			t.Fatalf("received %q, %v", got, err)
		}
	}
	type result struct {
		body string
		err  error
	}
	c := make(chan result, 1)
	go func() {
		body, err := take()
		c <- result{body, err}
	}()
	for m.Waiting() == 0 {
		runtime.Gosched()
	}
	if _, err := s.Update(ctx, nil, func(tx *table.Tx) error { return tx.RestoreTable("os.messages", before) }); err != nil {
		t.Fatal(err)
	}
	if got := <-c; got.body != "one" || got.err != nil {
		t.Errorf("who waited received %+v", got)
	}
	if got, err := take(); got != "two" || err != nil {
		t.Errorf("received %q, %v", got, err)
	}
}

// SendWait waits for room.
func TestRoom(t *testing.T) {
	_, m := real(t)
	ctx := deadline(t)
	create(t, m, message.Mailbox{Name: "box", Limit: 3})
	var wg sync.WaitGroup
	const n = 200
	for i := range n {
		wg.Go(func() {
			if _, err := m.SendWait(ctx, "box", message.Outgoing{Body: fmt.Append(nil, i)}); err != nil {
				t.Error(err)
			}
		})
	}
	seen := map[string]bool{}
	for range n {
		d, err := m.Receive(ctx, "box")
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Ack(ctx); err != nil {
			t.Fatal(err)
		}
		seen[string(d.Body)] = true
	}
	wg.Wait()
	if len(seen) != n {
		t.Errorf("%d different messages", len(seen))
	}
}

// Money goes around by messages, in transactions that take one and send another,
// of which some fail. None is lost and none is made, at any moment.
func TestExactlyOnce(t *testing.T) {
	s, m := real(t)
	const boxes, coins, moves = 5, 40, 300
	name := func(i int) string { return fmt.Sprint("box", i%boxes) }
	for i := range boxes { // of some the messages are counted
		create(t, m, message.Mailbox{Name: name(i), Limit: int64(i%2) * 2 * coins})
	}
	for i := range coins {
		if _, err := m.Send(t.Context(), name(i), message.Outgoing{Body: []byte{byte(i)}, Key: fmt.Sprint(i % 7)}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for w := range boxes {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			bad := errors.New("bad luck")
			for range moves {
				to, fail := name(rng.IntN(boxes)), rng.IntN(4) == 0
				err := m.Process(ctx, name(w), func(tx *table.Tx, x message.Message) error {
					if _, err := m.In(ctx, tx).Send(to, message.Outgoing{Body: x.Body, Key: x.Key}); err != nil {
						return err
					}
					if fail {
						return bad
					}
					return nil
				})
				if err != nil && !errors.Is(err, bad) {
					if ctx.Err() == nil {
						t.Error(err)
					}
					return
				}
			}
			cancel() // the others may wait for what this one will not send
		})
	}
	audit := func() {
		t.Helper()
		err := s.View(t.Context(), func(tx *table.Tx) error {
			seen, counted := map[byte]int{}, int64(0)
			for x, err := range message.Messages.Scan(tx, table.Span{}) {
				if err != nil {
					return err
				}
				seen[x.Body[0]]++
			}
			for c, err := range message.Counts.Scan(tx, table.Span{}) {
				if err != nil {
					return err
				}
				n, _, err := message.Holds(tx, c.Mailbox)
				if err != nil {
					return err
				}
				counted += n
			}
			if len(seen) != coins || counted != coins {
				t.Errorf("%d different coins, %d counted: %v", len(seen), counted, seen)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for ctx.Err() == nil {
		audit()
		if err := m.CheckMemory(t.Context()); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	audit()
}

// All of a topic's readers get all of it, in order.
func TestFanOut(t *testing.T) {
	_, m := real(t)
	ctx := deadline(t)
	const readers, n = 20, 100
	if err := m.CreateTopic(ctx, message.Topic{Name: "news"}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range readers {
		var r *message.Reader
		err := m.Subscribe(ctx, "news", fmt.Sprint(i), message.Newest)
		if err == nil {
			r, err = m.Resume(ctx, "news", fmt.Sprint(i))
		}
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for want := range uint64(n) {
				x, err := r.Next(ctx)
				if err != nil || x.Offset != want+1 {
					t.Errorf("reader %d: %d, %v; want %d", i, x.Offset, err, want+1)
					return
				}
			}
		})
	}
	for range n {
		if _, err := m.Publish(ctx, "news", message.Outgoing{Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}

func TestBox(t *testing.T) {
	s, m := real(t)
	ctx := deadline(t)
	create(t, m, message.Mailbox{Name: "orders"})
	type order struct{ Item string }
	orders := message.BoxOf[order](m, "orders")
	_, err := s.Update(ctx, nil, func(tx *table.Tx) error { return orders.SendIn(ctx, tx, order{"tea"}) })
	if err := errors.Join(err, orders.Send(ctx, order{"milk"})); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"tea", "milk"} {
		if o, err := orders.Receive(ctx); err != nil || o.Item != want {
			t.Errorf("received %+v, %v", o, err)
		}
	}
	if _, err := m.Send(ctx, "orders", message.Outgoing{Body: []byte("no JSON")}); err != nil {
		t.Fatal(err)
	}
	if _, err := orders.Receive(ctx); err == nil {
		t.Error("received what is no order")
	}
	if d, err := m.TryReceive(ctx, "orders"); err != nil || string(d.Body) != "no JSON" {
		t.Errorf("it is gone: %v", err)
	}
}

// What was acknowledged to the sender is there after a power cut if it was asked to
// be durable, and what is there is whole.
func TestCrash(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s, err := store.Open(t.Context(), fs, store.Options{}, append(message.Tables(), user.Tables()...)...)
	if err != nil {
		t.Fatal(err)
	}
	m, err := message.Open(t.Context(), s, message.Options{})
	if err != nil {
		t.Fatal(err)
	}
	create(t, m, message.Mailbox{Name: "box"})
	rng := rand.New(rand.NewPCG(2, 2))
	var durable, taken int64 = -1, -1
	for i := range int64(200) {
		o := message.Outgoing{Body: binary.BigEndian.AppendUint64(nil, uint64(i)), Durable: rng.IntN(10) == 0}
		if _, err := m.Send(t.Context(), "box", o); err != nil {
			t.Fatal(err)
		}
		if o.Durable {
			durable = i
		}
		if rng.IntN(3) == 0 {
			err := m.Process(t.Context(), "box", func(_ *table.Tx, x message.Message) error {
				taken = int64(binary.BigEndian.Uint64(x.Body))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f := open(t, crashed)
	first, next := int64(-1), int64(-1)
	err = f.store.View(t.Context(), func(tx *table.Tx) error {
		for x, err := range message.Messages.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			i := int64(binary.BigEndian.Uint64(x.Body))
			if first < 0 {
				first, next = i, i
			}
			if i != next {
				t.Errorf("message %d is missing", next)
			}
			next = i + 1
		}
		return nil
	})
	if err != nil || next <= durable || first > taken+1 {
		t.Errorf("messages %d to %d are left; durable to %d, taken to %d: %v", first, next-1, durable, taken, err)
	}
}

// BenchmarkBounce is a message that two tasks pass to and fro: each takes it and sends the
// next in one transaction. One of it is there and back.
func BenchmarkBounce(b *testing.B) {
	s, m := real(b)
	create(b, m, message.Mailbox{Name: "ping"}, message.Mailbox{Name: "pong"})
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	passOn := func(from, to string) error {
		return m.Process(ctx, from, func(tx *table.Tx, x message.Message) error {
			_, err := m.In(ctx, tx).Send(to, message.Outgoing{Body: x.Body})
			return err
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for passOn("ping", "pong") == nil {
		}
	}()
	if _, err := m.Send(ctx, "ping", message.Outgoing{Body: make([]byte, 100)}); err != nil {
		b.Fatal(err)
	}
	before := s.Engine().Metrics()
	b.ReportAllocs()
	for b.Loop() {
		if err := passOn("pong", "ping"); err != nil {
			b.Fatal(err)
		}
	}
	after := s.Engine().Metrics()
	b.ReportMetric(float64(after.KeysWritten-before.KeysWritten)/float64(b.N), "keys/op")
	b.ReportMetric(float64(after.LogBytes-before.LogBytes)/float64(b.N), "logB/op")
	b.ReportMetric(float64(after.Superseded-before.Superseded)/float64(b.N), "past/op")
	cancel()
	<-done
}

// BenchmarkPingPong is a message from one task to another and back, each sent in one
// transaction and taken in another.
func BenchmarkPingPong(b *testing.B) {
	_, m := real(b)
	create(b, m, message.Mailbox{Name: "ping"}, message.Mailbox{Name: "pong"})
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			err := m.Process(ctx, "ping", func(tx *table.Tx, x message.Message) error {
				_, err := m.In(ctx, tx).Send("pong", message.Outgoing{Body: x.Body})
				return err
			})
			if err != nil {
				return
			}
		}
	}()
	body := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Send(ctx, "ping", message.Outgoing{Body: body}); err != nil {
			b.Fatal(err)
		}
		if err := m.Process(ctx, "pong", func(*table.Tx, message.Message) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	<-done
}

// BenchmarkSendTake is the work of one message without any waiting.
func BenchmarkSendTake(b *testing.B) {
	_, m := real(b)
	create(b, m, message.Mailbox{Name: "box"})
	body := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Send(b.Context(), "box", message.Outgoing{Body: body}); err != nil {
			b.Fatal(err)
		}
		if err := m.Process(b.Context(), "box", func(*table.Tx, message.Message) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWaiting is what receivers cost that wait, in bytes each.
func BenchmarkWaiting(b *testing.B) {
	_, m := real(b)
	const n = 10_000
	for i := range n {
		create(b, m, message.Mailbox{Name: fmt.Sprint(i)})
	}
	for b.Loop() {
		b.ReportMetric(float64(waiting(b, m, n))/n, "B/receiver")
	}
}

// waiting has n receivers wait, and returns by how much the memory in use grew.
func waiting(b *testing.B, m *message.Service, n int) int64 {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	before := inUse()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, err := m.Receive(ctx, fmt.Sprint(i)); !errors.Is(err, context.Canceled) {
				b.Error(err)
			}
		})
	}
	for m.Waiting() < n {
		runtime.Gosched()
	}
	after := inUse()
	cancel()
	wg.Wait()
	return after - before
}

func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
