package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/tuplix/tuplix/qemu"
)

// outputDir holds the result and what is kept between runs; git ignores it.
const outputDir = "build"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	o := options{patience: bootPatience}
	flag.StringVar(&o.machine, "machine", qemu.Q35, "`kind` of machine: q35 or microvm")
	flag.IntVar(&o.memory, "m", 256, "memory of the machines in `MiB`")
	flag.IntVar(&o.rounds, "rounds", 3, "measure each figure `n` times")
	flag.IntVar(&o.sequential, "sequential", 1024, "size in `MiB` of the file that is written and read in one piece")
	flag.IntVar(&o.files, "files", 100_000, "add up the bytes of `n` files by owner")
	flag.Uint64Var(&o.restored, "restored", 10_000_000, "the most `rows` of which restores are measured")
	flag.StringVar(&o.profiles, "profiles", "", "write CPU profiles of the store to this `directory`")
	accel := flag.String("accel", "auto", "`how` to execute: kvm, tcg or auto")
	only := flag.String("only", ".", "measure figures whose names match the `regexp`")
	flag.Parse()
	var err error
	if o.accel, err = qemu.ParseAccel(*accel); err != nil {
		return err
	}
	if o.only, err = regexp.Compile(*only); err != nil {
		return err
	}
	chosen, err := choose(flag.Arg(0))
	if err != nil {
		return err
	}
	var all []figure
	for _, p := range chosen {
		figures, err := p.measure(ctx, &o, os.Stderr)
		if err != nil {
			return err
		}
		about, err := p.about(ctx, &o)
		if err != nil {
			return err
		}
		fmt.Printf("\n%s: %s, medians of %d rounds\n\n", p.name, about, o.rounds)
		if err := printTable(os.Stdout, figures); err != nil {
			return err
		}
		if err := writeJSON(filepath.Join(outputDir, "bench.json"), figures); err != nil {
			return err
		}
		all = append(all, figures...)
	}
	return judge(all)
}

// part is a group of figures that are measured together.
type part struct {
	name    string
	measure func(ctx context.Context, o *options, log io.Writer) ([]figure, error)
	about   func(ctx context.Context, o *options) (string, error) // what it was measured on
}

func parts() []part {
	return []part{
		{"machine", measureMachine, aboutMachine},
		{"store", measureStore, aboutStore},
		{"services", measureServices, aboutServices},
	}
}

// choose returns the parts that a name stands for.
func choose(name string) ([]part, error) {
	all := parts()
	if name == "" || name == "all" {
		return all, nil
	}
	i := slices.IndexFunc(all, func(p part) bool { return p.name == name })
	if i < 0 {
		names := "all"
		for _, p := range all {
			names += ", " + p.name
		}
		return nil, fmt.Errorf("no part %q; the parts are: %s", name, names)
	}
	return all[i : i+1], nil
}

func aboutMachine(ctx context.Context, o *options) (string, error) {
	how, err := qemu.Describe(ctx)
	return fmt.Sprintf("%s, %d MiB, %s", o.machine, o.memory, how), err
}

// measureMachine measures both systems in turns.
func measureMachine(ctx context.Context, o *options, log io.Writer) ([]figure, error) {
	dir, cache, err := scratch()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	ours, err := newTuplix(dir)
	if err != nil {
		return nil, err
	}
	peer, err := newLinux(ctx, dir, cache)
	if err != nil {
		return nil, err
	}
	var figures []figure
	for _, e := range machineExperiments(o) {
		if !slices.ContainsFunc(e.figures, func(s spec) bool { return o.only.MatchString(s.name) }) {
			continue
		}
		got, err := e.run(ctx, o, ours, peer, log)
		if err != nil {
			return nil, err
		}
		figures = append(figures, got...)
	}
	for i := range figures {
		figures[i].Than = peer.name
	}
	return figures, nil
}

// scratch returns an empty directory, to be removed, and where it stands.
func scratch() (dir, cache string, err error) {
	if cache, err = filepath.Abs(outputDir); err != nil {
		return "", "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", "", err
	}
	dir, err = os.MkdirTemp(cache, "bench-")
	return dir, cache, err
}

// run runs one experiment in all rounds. A failure of a system is part of the
// result; the error is the end of ctx.
func (e *experiment) run(ctx context.Context, o *options, ours, peer *system, log io.Writer) ([]figure, error) {
	values := make(map[string]*samples)
	for _, s := range e.figures {
		values[s.name] = new(samples)
	}
	for round := range e.rounds(o) {
		if err := e.round(ctx, o, ours, peer, round, values, log); err != nil {
			return nil, err
		}
	}
	var figures []figure
	for _, s := range e.figures {
		v := values[s.name]
		if s.name == figureMemory && median(v.peer) != 0 {
			s.bound = enoughMemory / median(v.peer) // the bound is on ours alone
		}
		figures = append(figures, s.evaluate(v))
	}
	return figures, nil
}

func (e *experiment) rounds(o *options) int {
	if e.once {
		return 1
	}
	return o.rounds
}

// round measures both systems once.
func (e *experiment) round(ctx context.Context, o *options, ours, peer *system, round int, values map[string]*samples, log io.Writer) error {
	tell := func(who string) {
		fmt.Fprintf(log, "%-30s  round %d of %d  %s\n", e.figures[0].name, round+1, e.rounds(o), who)
	}
	take := func(got map[string]float64, ofOurs bool, err error) {
		if err != nil && ctx.Err() == nil {
			fmt.Fprintf(log, "  failed: %v\n", err)
		}
		e.collect(values, got, ofOurs, err)
	}
	if e.together != nil {
		tell("both")
		our, their, err := e.together(ctx, o, ours, peer)
		take(our, true, err)
		take(their, false, nil)
		for name, v := range our {
			fmt.Fprintf(log, "  %s: %.4g, %s %.4g\n", name, v, peer.name, their[name])
		}
		return ctx.Err()
	}
	turns := []*system{ours, peer}
	if round%2 == 1 {
		slices.Reverse(turns)
	}
	for _, s := range turns {
		tell(s.name)
		got, err := e.measure(ctx, o, s)
		take(got, s == ours, err)
		e.show(log, s.name, got)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// show prints what one round of one system gave, so that noise can be told from change.
func (e *experiment) show(log io.Writer, who string, got map[string]float64) {
	for _, s := range e.figures {
		if v, ok := got[s.name]; ok {
			fmt.Fprintf(log, "  %s, %s: %.4g %s\n", s.name, who, v, s.unit)
		}
	}
}

func (e *experiment) collect(values map[string]*samples, got map[string]float64, ours bool, err error) {
	for _, s := range e.figures {
		v := values[s.name]
		if err != nil {
			v.err = err
		}
		value, ok := got[s.name]
		switch {
		case !ok || value == 0:
		case ours:
			v.ours = append(v.ours, value)
		default:
			v.peer = append(v.peer, value)
		}
	}
}
