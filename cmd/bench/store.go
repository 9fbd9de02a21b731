package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// contest is a figure of two sides, measured in turns in this process.
type contest struct {
	spec
	than       string
	ours, peer measurement
	slow       bool // measured once in a round, and not in several turns
}

// measurement measures one side once.
type measurement func(ctx context.Context) (float64, error)

// measureStore is the part "store": our store against the Pebble it stands on,
// with the same options, and against SQL databases, all on the same disk.
func measureStore(ctx context.Context, o *options, log io.Writer) ([]figure, error) {
	dir, _, err := scratch()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	w := &world{ctx: ctx, dir: dir, log: log}
	defer func() {
		if err := w.close(); err != nil {
			fmt.Fprintln(log, "closing the stores:", err)
		}
	}()
	return measureContests(ctx, o, log, w.settle, storeContests(w, o))
}

// measureContests measures those that are asked for; before each it calls settle.
func measureContests(ctx context.Context, o *options, log io.Writer, settle func() error, contests []contest) ([]figure, error) {
	var figures []figure
	for _, c := range contests {
		if !o.only.MatchString(c.name) {
			continue
		}
		if err := settle(); err != nil {
			return nil, err
		}
		f, err := c.run(ctx, o, log)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(log, "  %s %s, %s %s: %s\n", number(f.Ours), f.Unit, number(f.Peer), f.Than, number(f.Ratio))
		figures = append(figures, f)
	}
	return figures, nil
}

// run measures both sides in all rounds, in alternating order. A failure is part
// of the result; the error is the end of ctx.
func (c *contest) run(ctx context.Context, o *options, log io.Writer) (figure, error) {
	v := new(samples)
	turns := turnsInRound
	if c.slow {
		turns = 1
	}
	sides := []side{{"Tuplix", c.profiled(o), &v.ours}, {c.than, c.peer, &v.peer}}
	for round := range o.rounds {
		fmt.Fprintf(log, "%-38s  round %d of %d\n", c.name, round+1, o.rounds)
		runtime.GC() // what others left is not this one's to clear away
		for range turns {
			for _, s := range sides {
				if err := s.run(ctx); err != nil {
					v.err = fmt.Errorf("%s: %w", s.name, err)
					fmt.Fprintf(log, "  failed: %v\n", v.err)
				}
				if ctx.Err() != nil {
					return figure{}, ctx.Err()
				}
			}
			slices.Reverse(sides)
		}
	}
	f := c.evaluate(v)
	f.Than = c.than
	return f, nil
}

type side struct {
	name    string
	measure measurement
	to      *[]float64
}

func (s *side) run(ctx context.Context) error {
	value, err := s.measure(ctx)
	if err == nil {
		*s.to = append(*s.to, value)
	}
	return err
}

// profiled is our side, which writes a CPU profile of each of its turns, where
// that is asked for. (go tool pprof adds them up.)
func (c *contest) profiled(o *options) measurement {
	if o.profiles == "" {
		return c.ours
	}
	turn := 0
	return func(ctx context.Context) (float64, error) {
		turn++
		name := fmt.Sprintf("%s.%d.pprof", strings.NewReplacer(" ", "-", ",", "").Replace(c.name), turn)
		f, err := os.Create(filepath.Join(o.profiles, name))
		if err != nil {
			return 0, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return 0, err
		}
		defer pprof.StopCPUProfile()
		return c.ours(ctx)
	}
}

func aboutStore(context.Context, *options) (string, error) {
	return fmt.Sprintf("%d rows of about 100 bytes, %d MiB of memory each, %d processors, %s", storeRows, storeMemory>>20, runtime.NumCPU(), runtime.Version()), nil
}

// number that is known, as one side of a contest.
func fixed(n float64) measurement {
	return func(context.Context) (float64, error) { return n, nil }
}

// A side is measured for a short time, then the other: what disturbs them, such
// as compactions behind both, disturbs them alike.
const (
	oneTurn      = 100 * time.Millisecond
	turnsInRound = 5
)

// timed runs fn again and again and returns how many microseconds it takes.
func timed(fn func() error) (float64, error) {
	begun := time.Now()
	for n := 1; ; n++ {
		if err := fn(); err != nil {
			return 0, err
		}
		if n%16 != 0 && n > 16 { // the clock is not what is measured
			continue
		}
		if took := time.Since(begun); took > oneTurn {
			return microseconds(took) / float64(n), nil
		}
	}
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// storeContests are the figures, in the order in which they are measured: those
// that leave much to compact behind come last.
func storeContests(w *world, o *options) []contest {
	const pebble, postgres, sqlite = "Pebble", "PostgreSQL", "SQLite"
	many := o.restored
	return []contest{
		{spec{"read of a row", "us", lower, 1.5}, pebble, w.readOurs, w.readRaw, false},
		{spec{"read of a row, SQLite", "us", lower, record}, sqlite, w.readOurs, w.readSQLite, false},
		{spec{"read of a row, PostgreSQL", "us", lower, record}, postgres, w.readOurs, w.readPostgres, false},
		{spec{"scan of 100k rows, each", "us", lower, 1.5}, pebble, w.scanOurs, w.scanRaw, false},
		{spec{"scan of 100k rows, SQLite", "us", lower, record}, sqlite, w.scanOurs, w.scanSQLite, false},
		{spec{"scan of 100k rows, PostgreSQL", "us", lower, record}, postgres, w.scanOurs, w.scanPostgres, false},
		{spec{"ViewAt, row unchanged since", "us", lower, 1.2}, "View", w.readUnchanged, w.readFresh, false},
		{spec{"ViewAt, row changed since", "us", lower, 1.2}, "View", w.readChanged, w.readOld, false},
		{spec{"newest of 100 versions", "us", lower, 1.1}, "the only one", w.readNewest, w.readOnly, false},
		{spec{"insert, not synced", "us", lower, 2}, pebble, w.insertOurs, w.insertRaw, false},
		{spec{"insert with an index", "us", lower, record}, "2 keys in Pebble", w.insertIndexed, w.insertRawTwo, false},
		{spec{"provenance", "us", lower, 1.05}, "without it", w.insertOurs, w.insertBare, false},
		{spec{"synced commits, 64 clients", "1/s", higher, 0.8}, pebble, w.commitsOurs, w.commitsRaw, true},
		{spec{"synced commits, SQLite", "1/s", higher, record}, sqlite, w.commitsOurs, w.commitsSQLite, true},
		{spec{"synced commits, PostgreSQL", "1/s", higher, record}, postgres, w.commitsOurs, w.commitsPostgres, true},
		{spec{"procedures on one core", "1/s", higher, 1}, "150,000", w.procedures(storeRows, perWork), fixed(150_000), false},
		{spec{"procedures, Get and Set", "1/s", higher, record}, pebble, w.procedures(storeRows, perWork), w.proceduresRaw(), false},
		{spec{"procedures, Get and two Sets", "1/s", higher, record}, pebble, w.procedures(storeRows, perWork), w.proceduresRawKept(), false},
		{spec{"procedures on 10,000 rows", "1/s", higher, record}, "150,000", w.procedures(10_000, perWork), fixed(150_000), false},
		{spec{"procedures, one client's", "1/s", higher, 10}, postgres, w.procedures(storeRows, perSecond), w.proceduresPostgres, false},
		{spec{"queue, in and out", "1/s", higher, 1}, "50,000", w.queueRate, fixed(50_000), false},
		{spec{"queue of a million rows", "us", lower, 1.2}, "1,000 rows", w.queueLong, w.queueShort, false},
		{spec{"queue after a million taken", "us", lower, 1.2}, "1,000 rows", w.queueTaken, w.queueShort, false},
		{spec{"opening, a million rows", "ms", lower, 5}, "1,000 rows", opening(openedRows), opening(openedFew), true},
		{spec{"restore of 1,000 rows", "ms", lower, 1}, "50 ms", w.restore(1_000), fixed(50), true},
		{spec{"restore of 100,000 rows", "ms", lower, 1}, "50 ms", w.restore(100_000), fixed(50), true},
		{spec{"restore of " + grouped(many) + " rows", "ms", lower, 1}, "50 ms", w.restore(many), fixed(50), true},
		{spec{"the same against fewer rows", "ms", lower, 1.5}, "1,000 rows", w.restore(many), w.restore(1_000), true},
		{spec{"commits while collecting, p99", "us", lower, 2}, "alone", w.tailCollecting, w.tailAlone, true},
		{spec{"commits while indexing, p99", "us", lower, 2}, "alone", w.tailIndexing, w.tailAlone, true},
		{spec{"restore of a million rows", "ms", lower, record}, "pg_restore", w.restore(storeRows), w.restorePostgres, true},
	}
}

// grouped writes a number as people do.
func grouped(n uint64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
