package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/postgres"
)

// increment adds 1 to the number at key.
func increment(key string) func(engine.Tx) error {
	return func(tx engine.Tx) error {
		n, err := number(tx, key)
		if err != nil {
			return err
		}
		return tx.Put([]byte(key), strconv.AppendInt(nil, int64(n+1), 10))
	}
}

func number(r engine.Reader, key string) (int, error) {
	value, found, err := r.Get([]byte(key))
	if err != nil || !found {
		return 0, err
	}
	return strconv.Atoi(string(value))
}

func expectNumber(t *testing.T, e engine.Engine, key string, want int) {
	t.Helper()
	err := e.View(t.Context(), "", func(r engine.Reader) error {
		n, err := number(r, key)
		if n != want {
			t.Errorf("%s is %d, want %d", key, n, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestLostConnection: a transaction whose connection is cut, before or after the
// server has got its commit, takes effect once.
func TestLostConnection(t *testing.T) {
	p := newProxy(t)
	e := open(t, p.url(), postgres.Options{Schema: newSchema()})
	const n = 20
	for i := range n {
		user := fmt.Sprintf("cut me %d;", i)
		op := &engine.Op{User: user}
		if i%4 < 2 {
			op.ID = fmt.Sprint("known", i)
		}
		p.arm(user, i%2 == 0, false)
		if _, err := e.Update(t.Context(), op, increment("n")); err != nil {
			t.Fatalf("transaction %d: %v", i, err)
		}
	}
	if p.fired() != n {
		t.Errorf("%d of %d connections were cut", p.fired(), n)
	}
	expectNumber(t, e, "n", n)
}

// TestLostFlush: the connection is cut when a transaction is committed and is to become
// durable, and the server still has it, or has lost it by a crash. It takes effect once.
func TestLostFlush(t *testing.T) {
	p := newProxy(t)
	schema := newSchema()
	e := open(t, p.url(), postgres.Options{Schema: schema})
	crash := func() error {
		const newest = `(select version from commits order by version desc limit 1)`
		return trySQL(schema, `delete from versions where xid = `+newest, `delete from commits where version = `+newest)
	}
	n := 0
	for _, meanwhile := range []func() error{nil, crash} {
		for _, after := range []bool{false, true} {
			p.cutAll() // a new connection is told the text of the trigger
			p.meanwhile(meanwhile)
			p.arm("pg_logical_emit_message", after, false)
			if _, err := e.Update(t.Context(), nil, increment("n")); err != nil {
				t.Fatalf("transaction %d: %v", n, err)
			}
			if n++; p.fired() != n {
				t.Fatalf("%d of %d connections were cut", p.fired(), n)
			}
			p.meanwhile(nil)
			expectNumber(t, e, "n", n)
		}
	}
}

// TestViewLostConnection: what a View reads is asked again.
func TestViewLostConnection(t *testing.T) {
	p := newProxy(t)
	e := open(t, p.url(), postgres.Options{Schema: newSchema()})
	const n = 700 // several pages
	_, err := e.Update(t.Context(), nil, func(tx engine.Tx) error {
		for i := range n {
			if err := tx.Put(fmt.Appendf(nil, "%03d", i), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = e.View(t.Context(), "", func(r engine.Reader) error {
		c := r.Scan(engine.All, engine.ScanOptions{})
		i := 0
		for ; c.Next(); i++ {
			if got, want := string(c.Key()), fmt.Sprintf("%03d", i); got != want {
				t.Errorf("key %s, want %s", got, want)
			}
			if i%100 == 0 {
				p.cutAll()
				if _, found, err := r.Get([]byte("007")); !found || err != nil {
					t.Errorf("Get: %v, %v", found, err)
				}
				p.cutAll()
			}
		}
		if i != n {
			t.Errorf("%d keys", i)
		}
		commits := 0
		for _, err := range r.Commits("", true) {
			if commits++; err != nil {
				return err
			}
			p.cutAll()
		}
		return errors.Join(c.Err(), c.Close())
	})
	if err != nil {
		t.Error(err)
	}
	p.cutAll()
	expectNumber(t, e, "none", 0)
}

// TestUnknown: a connection is cut in a commit, and the server stays away.
func TestUnknown(t *testing.T) {
	for name, after := range map[string]bool{"sent": true, "not sent": false} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t)
			e := open(t, p.url(), postgres.Options{Schema: newSchema()})
			p.arm("cut me", after, true)
			_, err := e.Update(t.Context(), &engine.Op{ID: "x", User: "cut me"}, increment("n"))
			if !errors.Is(err, engine.ErrUnknown) {
				t.Errorf("an Update whose commit was lost: %v", err)
			}
			p.refuse(false)
			// The old server process may be at work still; the same operation
			// waits for it, and takes effect once in all.
			if _, err := e.Update(t.Context(), &engine.Op{ID: "x"}, increment("n")); err != nil {
				t.Error(err)
			}
			expectNumber(t, e, "n", 1)
			if _, done, err := e.Resolve(t.Context(), "x"); !done || err != nil {
				t.Errorf("Resolve: %v, %v", done, err)
			}
		})
	}
}

// TestUnreachable: nothing was sent, so nothing is unknown.
func TestUnreachable(t *testing.T) {
	p := newProxy(t)
	e := open(t, p.url(), postgres.Options{Schema: newSchema()})
	p.refuse(true)
	p.cutAll()
	_, err := e.Update(t.Context(), &engine.Op{ID: "x"}, increment("n"))
	if err == nil || errors.Is(err, engine.ErrUnknown) {
		t.Errorf("an Update without a server: %v", err)
	}
	p.refuse(false)
	expectNumber(t, e, "n", 0)
}

// sql runs statements on a store's schema, behind its engine's back.
func sql(t *testing.T, schema string, statements ...string) {
	t.Helper()
	if err := trySQL(schema, statements...); err != nil {
		t.Fatal(err)
	}
}

func trySQL(schema string, statements ...string) (err error) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, server.URL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	for _, s := range append([]string{`set search_path to ` + pgx.Identifier{schema}.Sanitize()}, statements...) {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// failing makes the next n commits fail with a code.
func failing(code string, n int) []string {
	return []string{
		`create sequence failures`,
		fmt.Sprintf(`create function fail() returns trigger language plpgsql as $$ begin
			if nextval('failures') <= %d then raise exception 'planted' using errcode = '%s'; end if;
			return new; end $$`, n, code),
		`create trigger fail before insert on commits for each row execute function fail()`,
	}
}

// TestServerErrors: what the server says becomes one of the seam's outcomes.
func TestServerErrors(t *testing.T) {
	for _, try := range []struct {
		code  string
		times int
		want  error
	}{
		{"40001", 2, nil}, // serialization failure
		{"40P01", 5, nil}, // deadlock
		{"40001", 1000, engine.ErrConflict},
		{"53100", 1000, engine.ErrFull},
		{"XX001", 1000, engine.ErrCorrupt},
	} {
		t.Run(fmt.Sprint(try.code, " ", try.times), func(t *testing.T) {
			schema := newSchema()
			e := open(t, server.URL, postgres.Options{Schema: schema})
			sql(t, schema, failing(try.code, try.times)...)
			_, err := e.Update(t.Context(), &engine.Op{ID: "x"}, increment("n"))
			if !errors.Is(err, try.want) {
				t.Errorf("%v, want %v", err, try.want)
			}
			if try.want != nil {
				expectNumber(t, e, "n", 0)
				return
			}
			expectNumber(t, e, "n", 1)
			if got := e.Metrics().Conflicts; got != int64(try.times) {
				t.Errorf("%d attempts failed, want %d", got, try.times)
			}
		})
	}
}

// TestWatchReconnects: who waits is woken by what was committed while nobody
// listened.
func TestWatchReconnects(t *testing.T) {
	p := newProxy(t)
	schema := newSchema()
	e := open(t, p.url(), postgres.Options{Schema: schema})
	other := open(t, server.URL, postgres.Options{Schema: schema})
	for i := range 5 {
		at, err := e.Update(t.Context(), &engine.Op{}, increment("n"))
		if err != nil {
			t.Fatal(err)
		}
		woken := make(chan error, 1)
		go func() {
			_, err := e.Watch(t.Context(), at, engine.KeyRange([]byte("n")))
			woken <- err
		}()
		p.refuse(true)
		p.cutAll()
		if _, err := other.Update(t.Context(), &engine.Op{}, increment("n")); err != nil {
			t.Fatal(err)
		}
		p.refuse(false)
		if err := <-woken; err != nil {
			t.Logf("round %d: the Watch could not ask: %v", i, err)
		}
	}
	expectNumber(t, other, "n", 10)
}

// TestMachines: several engines on one store are one store.
func TestMachines(t *testing.T) {
	schema := newSchema()
	var engines []engine.Engine
	for range 3 {
		engines = append(engines, open(t, server.URL, postgres.Options{Schema: schema}))
	}
	const each = 40
	var wg sync.WaitGroup
	for i, e := range engines {
		wg.Go(func() {
			for n := range each {
				if _, err := e.Update(t.Context(), &engine.Op{NoWait: n%2 == 0}, increment("n")); err != nil {
					t.Errorf("machine %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	for _, e := range engines {
		expectNumber(t, e, "n", each*len(engines))
	}
	// One that has not looked for a while does not fail for what it does not know.
	missing := errors.New("missing")
	for i := range 5 {
		key := fmt.Appendf(nil, "key%d", i)
		if _, err := engines[0].Update(t.Context(), &engine.Op{}, func(tx engine.Tx) error { return tx.Put(key, nil) }); err != nil {
			t.Fatal(err)
		}
		_, err := engines[1].Update(t.Context(), &engine.Op{}, func(tx engine.Tx) error {
			_, found, err := tx.Get(key)
			if err == nil && !found {
				err = missing
			}
			return err
		})
		if err != nil {
			t.Errorf("what another machine has committed: %v", err)
		}
	}
}

// TestCheckFinds: Check reports what cannot be.
func TestCheckFinds(t *testing.T) {
	schema := newSchema()
	e := open(t, server.URL, postgres.Options{Schema: schema})
	for range 3 {
		if _, err := e.Update(t.Context(), &engine.Op{}, increment("n")); err != nil {
			t.Fatal(err)
		}
	}
	problems := func() (n int) {
		if err := e.Check(t.Context(), func(p engine.Problem) { n++; t.Logf("%+v", p) }); err != nil {
			t.Error(err)
		}
		return n
	}
	if n := problems(); n != 0 {
		t.Errorf("%d problems of a sound store", n)
	}
	for _, damage := range []string{
		`insert into versions select key, xid, value from versions limit 1`,
		`insert into versions values ('k', '9000000000', 'v')`,
		`insert into restores values ('5', '', null, '6')`,
		`update commits set seen = '3:3:' where version = (select max(version::text)::xid8 from commits)`,
		`update commits set at = at + 1000000000 where version = (select min(version::text)::xid8 from commits)`,
		`insert into horizons values ('', null, '9000000000')`,
	} {
		before := problems()
		sql(t, schema, damage)
		if after := problems(); after <= before {
			t.Errorf("not found: %s", damage)
		}
	}
}
