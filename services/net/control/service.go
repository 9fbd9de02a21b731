package control

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/beevik/ntp"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/net"
	"github.com/tuplix/tuplix/services/net/firewall"
	"github.com/tuplix/tuplix/services/net/timesync"
	"github.com/tuplix/tuplix/services/user"
)

// Options say how the tables are opened. The zero value is sensible.
type Options struct {
	// Network is what the tables are about, started already; nil: there is none in
	// this process, and the tables are only kept.
	Network  *net.Service
	Line     net.Config                       // what the boot's command line says
	Shift    func(by time.Duration)           // moves the machine's clock; nil: it is not kept
	Config   *config.Service                  // with the Settings of this package; nil: one is opened when it is needed
	Override map[string]string                // of those settings by this boot's command line, where one is opened
	Early    func(Modes)                      // is told the modes whenever the tables were read, for the next boot to know early; nil: nobody
	Log      func(format string, args ...any) // takes what goes wrong later; nil: nobody
	Delay    time.Duration                    // between two batches of what is seen; 0: half a second
	Count    time.Duration                    // between two looks at the counters of connections; 0: ten seconds
	Quiet    time.Duration                    // before the first batch, for the program to start in; 0: five seconds

	query func(server string) (*ntp.Response, error) // a test's time servers
}

// Service keeps the tables of a network. All methods may be called concurrently.
type Service struct {
	store *store.Store
	o     Options
	end   context.CancelFunc
	ended <-chan struct{}
	done  sync.WaitGroup

	kick    chan struct{} // room for one: what is wanted may have changed
	hurry   chan struct{} // room for one: somebody is not content to wait for the quiet time
	mu      sync.Mutex    // guards what follows
	loaded  engine.Version
	applied chan struct{} // closed when loaded grows
	sources map[string]string
	rules   []firewall.Rule // those at work
	texts   []ruleText      // the same
	filter  bool            // they have been set
	servers []string        // for the time, as set

	clock *timesync.Client // nil without Options.Shift

	record *recorder // nil without a Network

	ready  sync.Mutex      // held while prepare works
	config *config.Service // nil until prepare has been
	own    bool            // config was opened here
}

// here is the service of the machine that the program runs on.
var here atomic.Pointer[Service]

// ErrNone says that the program runs on no machine whose network is kept as tables.
var ErrNone = errors.New("this process has no network of tables: it is not booted by tuplix")

// Provide makes s the machine's. It is the board's to call, once.
func Provide(s *Service) { here.Store(s) }

// Here returns the service of the machine that the program runs on, or ErrNone.
func Here() (*Service, error) {
	if s := here.Load(); s != nil {
		return s, nil
	}
	return nil, ErrNone
}

// Open brings the network of o to what the tables say, and has it follow them until
// Close. It does not wait for the network to be ready. It makes no tables: those that
// are not there are empty, and are made when somebody writes, or a little later.
// Errors are those of the store.
func Open(ctx context.Context, s *store.Store, o Options) (*Service, error) {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.Early == nil {
		o.Early = func(Modes) {}
	}
	if o.Delay == 0 {
		o.Delay = 500 * time.Millisecond
	}
	if o.Count == 0 {
		o.Count = 10 * time.Second
	}
	if o.Quiet == 0 {
		o.Quiet = 5 * time.Second
	}
	n := &Service{store: s, o: o, config: o.Config, kick: make(chan struct{}, 1), hurry: make(chan struct{}, 1), applied: make(chan struct{})}
	background, end := context.WithCancel(context.Background())
	n.end, n.ended = end, background.Done()
	if o.Network == nil {
		return n, nil
	}
	if err := n.apply(ctx); err != nil {
		end()
		return nil, err
	}
	n.record = newRecorder(n)
	if o.Shift != nil {
		n.clock = timesync.New(timesync.Options{Shift: o.Shift, Changed: n.record.touch, Log: o.Log, Query: o.query})
	}
	n.done.Go(func() { n.run(background) })
	return n, nil
}

// run does all that goes on beside the program, and begins when that has had time to
// start.
func (s *Service) run(ctx context.Context) {
	quiet := time.NewTimer(s.o.Quiet)
	defer quiet.Stop()
	select {
	case <-ctx.Done():
		return
	case <-s.hurry:
	case <-quiet.C:
	}
	if err := s.prepare(ctx); err != nil {
		if ctx.Err() == nil {
			s.o.Log("net: the tables cannot be made, and are not followed: %v", err)
		}
		return
	}
	if s.clock != nil {
		s.done.Go(func() { s.clock.Run(ctx) })
	}
	s.done.Go(func() { s.follow(ctx) })
	s.done.Go(func() { s.watch(ctx) })
	s.record.run(ctx)
}

// soon has run begin now.
func (s *Service) soon() {
	select {
	case s.hurry <- struct{}{}:
	default:
	}
}

// prepare makes the tables and the settings, unless that has been done.
func (s *Service) prepare(ctx context.Context) error {
	s.soon()
	s.ready.Lock()
	defer s.ready.Unlock()
	if err := s.store.Create(ctx, op("net.Open"), Tables()...); err != nil || s.config != nil {
		return err
	}
	if err := s.store.Create(ctx, op("net.Open"), config.Tables()...); err != nil {
		return err
	}
	c, err := config.Open(ctx, s.store, config.Options{Override: s.o.Override, Log: s.o.Log}, Settings()...)
	s.config, s.own = c, err == nil
	return err
}

// Close writes what was seen last, and ends following the tables. The network stays
// as it is.
func (s *Service) Close() {
	s.end()
	s.done.Wait()
	if s.own {
		s.config.Close()
	}
}

// op is for what the network notes of itself: packets need not wait for that.
func op(name string) *engine.Op {
	o := user.Caller{User: user.Root, Program: "net"}.Op(name)
	o.Untold = true
	return o
}

// load reads what is wanted, and the version at which it was read.
func (s *Service) load(ctx context.Context) (p *plan, v engine.Version, err error) {
	err = s.store.View(ctx, func(tx *table.Tx) error {
		p, err = readPlan(tx)
		v = tx.Version()
		return err
	})
	return p, v, err
}

// apply reads what is wanted and brings the network to it.
func (s *Service) apply(ctx context.Context) error {
	p, v, err := s.load(ctx)
	if err != nil {
		return err
	}
	s.setFirewall(p)
	c, sources := p.config(s.o.Line, s.o.Network.Devices())
	if err := s.o.Network.Apply(c); err != nil {
		s.o.Log("%v", err) // the interface's row says it, too
	}
	s.o.Early(p.modes())
	if err := s.tellProblems(ctx, p.problems); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sources, s.servers = sources, p.time
	s.loaded = v
	close(s.applied)
	s.applied = make(chan struct{})
	return nil
}

// setFirewall has the rules hold, if they are others than before: their hits begin anew.
func (s *Service) setFirewall(p *plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.filter || !slices.Equal(s.rules, p.rules) {
		s.o.Network.SetFirewall(p.rules)
	}
	s.rules, s.texts, s.filter = p.rules, p.texts, true
}

// tellProblems makes os.network_problems say what was left out.
func (s *Service) tellProblems(ctx context.Context, problems []Problem) error {
	same := false
	err := s.store.View(ctx, func(tx *table.Tx) (err error) {
		var have []Problem
		err = missing(each(tx, Problems, func(p *Problem) { have = append(have, *p) }))
		same = slices.Equal(have, problems)
		return err
	})
	if err != nil || same {
		return err
	}
	for _, p := range problems {
		s.o.Log("net: %s, row %s is left out: %s", p.Table, p.Row, p.Problem)
	}
	if err := s.store.Create(ctx, op("net.Open"), Problems); err != nil {
		return err
	}
	_, err = s.store.Update(ctx, op("net.Problems"), func(tx *table.Tx) error {
		_, err := replace(tx, Problems, problems, problemKey, twoKeys)
		return err
	})
	return err
}

// follow applies what is wanted whenever it may have changed.
func (s *Service) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
		}
		if err := s.apply(ctx); err != nil && ctx.Err() == nil {
			s.o.Log("net: the tables could not be read: %v", err)
		}
		s.record.touch()
	}
}

func (s *Service) kicked() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// watch kicks when a row of what is wanted changes.
func (s *Service) watch(ctx context.Context) {
	err := watch(ctx, s.store, append(wanted(), config.Settings), s.kicked)
	if ctx.Err() == nil {
		s.o.Log("net: the tables are no longer followed: %v", err)
	}
}

// watch calls changed now and whenever a row of the tables has changed, until ctx
// ends or it fails. A restore to before there were such tables makes them anew.
func watch(ctx context.Context, s *store.Store, tables []table.Declared, changed func()) error {
	for {
		since, ranges, err := rangesOf(ctx, s, tables)
		if errors.Is(err, table.ErrNoTable) {
			err = s.Create(ctx, op("net.Open"), tables...)
			if err == nil {
				continue
			}
		}
		if err == nil {
			changed()
			_, err = s.Engine().Watch(ctx, since, ranges...)
		}
		if err != nil {
			return err
		}
	}
}

// rangesOf returns the keys of the rows of tables, and at which version they are those.
func rangesOf(ctx context.Context, s *store.Store, tables []table.Declared) (v engine.Version, ranges []engine.Range, err error) {
	err = s.View(ctx, func(tx *table.Tx) (err error) {
		v = tx.Version()
		ranges, err = tx.KeysOf(tables...)
		return err
	})
	return v, ranges, err
}

// wait returns when what was committed at v has been applied.
func (s *Service) wait(ctx context.Context, v engine.Version) error {
	if s.o.Network == nil {
		return nil
	}
	for {
		s.kicked() // the transaction may have changed nothing
		s.mu.Lock()
		loaded, applied := s.loaded, s.applied
		s.mu.Unlock()
		if loaded >= v {
			return nil
		}
		select {
		case <-applied:
		case <-s.ended:
			return errors.New("net: closed")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Service) source(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sources[name]
}

// ruleText is a rule at work.
type ruleText struct {
	position uint32
	text     string
}

func (s *Service) ruleTexts() []ruleText {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.texts
}
