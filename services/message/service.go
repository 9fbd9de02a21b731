package message

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// Reasons of errors.
var (
	ErrNoMailbox      = errors.New("there is no such mailbox")
	ErrNoTopic        = errors.New("there is no such topic")
	ErrNoSubscription = errors.New("there is no such subscription")
	ErrExists         = errors.New("there is one of this name already")
	ErrFull           = errors.New("the mailbox is full")
	ErrEmpty          = errors.New("the mailbox has no message that is ready")
	ErrLost           = errors.New("the lease is over, or another receiver has it")
	ErrTooLarge       = errors.New("too large")
)

// Options say how messages are opened. The zero value is sensible.
type Options struct {
	Now func() time.Time // nil: time.Now

	// Log receives messages about what failed in the background; nil drops them.
	Log func(format string, args ...any)
}

// Service carries messages. All methods may be called concurrently.
type Service struct {
	store *store.Store
	now   func() time.Time
	log   func(format string, args ...any)

	keeper keeper

	areas areas
	stop  func() // being told of what is committed

	mu                   sync.Mutex
	desks                map[string]*desk // of mailboxes
	feeds                map[string]*feed // of topics
	mostDesks, mostFeeds int              // how many there may be until some are dropped
	calledDesks          []*desk          // at which somebody is to be woken
	calledFeeds          []*feed          // likewise
	senders              int              // who wait for room, or may soon
	waiting              int              // who is in a queue, or was taken off and does not run yet
	scratch              []byte

	written, removed, publications uint64 // messages of mailboxes and topics whose rows have changed since Open
}

// Open goes on with the messages of a store. The engine is told to keep no more
// history of messages than it must, as they come and go.
func Open(ctx context.Context, s *store.Store, o Options) (*Service, error) {
	m := &Service{store: s, now: o.Now, desks: map[string]*desk{}, feeds: map[string]*feed{}, mostDesks: idleDesks, mostFeeds: idleFeeds}
	if m.now == nil {
		m.now = time.Now
	}
	if m.log = o.Log; m.log == nil {
		m.log = func(string, ...any) {}
	}
	op := user.Caller{User: user.Root, Program: "message"}.Op("message.Open")
	err := s.Retain(ctx, op, engine.MinRetention, Messages, Counts, SentIDs, Publications)
	if err == nil {
		err = m.observe(ctx)
	}
	if err == nil {
		err = m.clearRest(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	m.keepUntil(m.now())
	return m, nil
}

// observe has the service told of what is committed from now on.
func (s *Service) observe(ctx context.Context) error {
	e, ok := s.store.Engine().(engine.Observable)
	if !ok {
		return errors.New("the store's engine does not tell what is committed")
	}
	if err := s.findAreas(ctx); err != nil {
		return err
	}
	s.stop = e.Observe(observer{s}, s.areas.all()...)
	return nil
}

// Close ends what the service keeps in memory. Nobody may use it any more.
func (s *Service) Close() {
	s.keeper.close()
	s.stop()
}

// Tx is messages inside a transaction of the caller's.
type Tx struct {
	service *Service
	tx      *table.Tx
	caller  user.Caller
	now     time.Time
	in, out Message // memory for one that is taken, and one that is sent
}

// In returns messages as a part of a transaction: what is sent and taken takes
// effect if it commits.
func (s *Service) In(ctx context.Context, tx *table.Tx) *Tx {
	return &Tx{service: s, tx: tx, caller: user.From(ctx), now: s.now()}
}

// procedure is an Update under way, in memory that is used again.
type procedure struct {
	Tx
	op  engine.Op
	fn  func(t *Tx) (bool, error)
	ok  bool                     // what fn returned
	run func(tx *table.Tx) error // attempt: it stays
}

func newProcedure() any {
	p := new(procedure)
	p.run = p.attempt
	return p
}

func (p *procedure) attempt(tx *table.Tx) (err error) {
	p.tx, p.now = tx, p.service.now()
	p.ok, err = p.fn(&p.Tx)
	return err
}

// procedures are those that wait for the next Update.
var procedures = sync.Pool{New: newProcedure}

// update runs a procedure of the caller's.
func (s *Service) update(ctx context.Context, name string, durable bool, fn func(t *Tx) error) error {
	_, err := s.decide(ctx, name, durable, func(t *Tx) (bool, error) { return true, fn(t) })
	return err
}

// decide is update for a procedure that also says whether it did what it is for.
func (s *Service) decide(ctx context.Context, name string, durable bool, fn func(t *Tx) (bool, error)) (bool, error) {
	p := procedures.Get().(*procedure)
	p.service, p.caller, p.fn = s, user.From(ctx), fn
	p.op = *p.caller.Op(name)
	p.op.NoWait = !durable
	_, err := s.store.Update(ctx, &p.op, p.run)
	ok := p.ok
	*p = procedure{run: p.run}
	procedures.Put(p)
	return ok, err
}

func (t *Tx) check(r user.Right, k user.Kind, name string) error {
	return user.Check(t.tx, t.caller, r, user.Object{Kind: k, Name: name})
}

// missing turns table.ErrNotFound into one of ours.
func missing(err, reason error, name string) error {
	if errors.Is(err, table.ErrNotFound) {
		return fmt.Errorf("%q: %w", name, reason)
	}
	return err
}
