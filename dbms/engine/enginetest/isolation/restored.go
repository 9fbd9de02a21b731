package isolation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tuplix/tuplix/dbms/engine"
)

// A history with restores cannot be searched for cycles: a restore brings values back,
// so what is read no longer tells the order in which it was written. Porcupine can
// search it, with a model that knows what the registers were after each operation.

// step is what the model is told of an operation on a few registers, of which it
// reads or writes one, or restores all.
type step struct {
	id          int
	register    int
	read, write bool
	value       string // written
	restore     bool
	to          int  // the operation after which the registers were as they are to be; 0: in the beginning
	wanted      bool // a restore goes back to after this operation
}

// registersOfRound is how many registers the operations of one round share.
const registersOfRound = 3

// shelf is the model's state.
type shelf struct {
	now  string // the values, joined by ","
	past string // ";id=now" for each wanted operation, in order
}

func (s shelf) values() []string { return strings.Split(s.now, ",") }

// after returns the values after an operation, and whether it has been.
func (s shelf) after(id int) (string, bool) {
	mark := fmt.Sprintf(";%d=", id)
	i := strings.Index(s.past, mark)
	if i < 0 {
		return "", false
	}
	now, _, _ := strings.Cut(s.past[i+len(mark):], ";")
	return now, true
}

// change is the state after an operation. What nobody goes back to is not remembered:
// the search is through all states that there may have been.
func (s shelf) change(in step, now string) shelf {
	if in.wanted {
		s.past += fmt.Sprintf(";%d=%s", in.id, now)
	}
	return shelf{now, s.past}
}

var restoredRegisters = porcupine.Model{
	Init: func() any { return shelf{}.change(step{wanted: true}, strings.Repeat(",", registersOfRound-1)) },
	Step: func(state, input, output any) (bool, any) {
		s, in := state.(shelf), input.(step)
		if in.restore {
			now, known := s.after(in.to)
			return known, s.change(in, now)
		}
		values := s.values()
		legal := !in.read || output.(string) == values[in.register]
		if in.write {
			values[in.register] = in.value
			return legal, s.change(in, strings.Join(values, ","))
		}
		return legal, s
	},
}

// restored has clients read and write a few registers, and restore them to how they
// were after some operation that has been: in rounds, since the search takes the longer
// the more operations may have been in any order.
func restored(e engine.Engine, size int, seed uint64) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	const each = 30
	for n := range max(size/each, 1) {
		r := round{e: e, prefix: fmt.Sprintf("s%06d/", n), begun: time.Now(), versions: map[int]engine.Version{}}
		if err := r.run(ctx, each, seed+uint64(n)); err != nil {
			return nil, err
		}
		switch porcupine.CheckOperationsTimeout(restoredRegisters, r.history(), patience) {
		case porcupine.Illegal:
			return []string{fmt.Sprintf("registers with restores are not linearizable in round %d", n)}, nil
		case porcupine.Unknown:
			return nil, errors.New("porcupine took too long")
		}
	}
	return nil, nil
}

// round is some operations on the same registers.
type round struct {
	e      engine.Engine
	prefix string
	begun  time.Time

	mu       sync.Mutex
	all      []porcupine.Operation
	versions map[int]engine.Version // of operations that changed something
	done     []int                  // their numbers
}

func (r *round) key(register int) []byte { return fmt.Appendf(nil, "%s%d", r.prefix, register) }

func (r *round) run(ctx context.Context, size int, seed uint64) error {
	v, err := r.e.Update(ctx, op, func(tx engine.Tx) error { return tx.Put([]byte(r.prefix), nil) })
	if err != nil {
		return err
	}
	r.versions[0], r.done = v, []int{0}
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for id := w + 1; id <= size && errs[w] == nil; id += workers {
				errs[w] = r.one(ctx, r.choose(rng, id), w)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// history marks the operations that restores go back to.
func (r *round) history() []porcupine.Operation {
	wanted := map[int]bool{}
	for _, o := range r.all {
		if in := o.Input.(step); in.restore {
			wanted[in.to] = true
		}
	}
	for i := range r.all {
		in := r.all[i].Input.(step)
		in.wanted = wanted[in.id]
		r.all[i].Input = in
	}
	return r.all
}

// choose makes up an operation.
func (r *round) choose(rng *rand.Rand, id int) step {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := step{id: id, register: rng.IntN(registersOfRound), value: fmt.Sprint(id)}
	switch n := rng.IntN(10); {
	case n < 4:
		in.read = true
	case n < 6:
		in.write = true
	case n < 8:
		in.read, in.write = true, true
	default:
		in.restore, in.to = true, r.done[rng.IntN(len(r.done))]
	}
	return in
}

// one performs an operation and records it.
func (r *round) one(ctx context.Context, in step, client int) error {
	r.mu.Lock()
	to := r.versions[in.to]
	r.mu.Unlock()
	start := time.Since(r.begun)
	out, v, err := r.do(ctx, in, to)
	end := time.Since(r.begun)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, porcupine.Operation{ClientId: client, Input: in, Call: int64(start), Output: out, Return: int64(end)})
	if in.write || in.restore {
		r.versions[in.id] = v
		r.done = append(r.done, in.id)
	}
	return nil
}

// do performs an operation and returns what it read.
func (r *round) do(ctx context.Context, in step, to engine.Version) (out string, v engine.Version, err error) {
	get := func(from engine.Reader) error {
		value, _, err := from.Get(r.key(in.register))
		out = string(value)
		return err
	}
	if in.read && !in.write {
		err = r.e.View(ctx, "", get)
		return out, v, err
	}
	v, err = r.e.Update(ctx, op, func(tx engine.Tx) error {
		if in.restore {
			return tx.Restore(engine.Range{Low: r.key(0), High: r.key(registersOfRound)}, to)
		}
		if in.read {
			if err := get(tx); err != nil {
				return err
			}
		}
		return tx.Put(r.key(in.register), []byte(in.value))
	})
	return out, v, err
}
