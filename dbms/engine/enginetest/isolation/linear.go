package isolation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tuplix/tuplix/dbms/engine"
)

// register is what porcupine's model is told of an operation: a read returns the
// value; a write changes it; a swap does both.
type register struct {
	key         string
	read, write bool
	value       string // written
}

// oneRegister is its model; the state is the value.
var oneRegister = porcupine.Model{
	Partition: func(all []porcupine.Operation) (parts [][]porcupine.Operation) {
		by := map[string][]porcupine.Operation{}
		for _, o := range all {
			key := o.Input.(register).key
			by[key] = append(by[key], o)
		}
		for _, part := range by {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		in := input.(register)
		legal := !in.read || output.(string) == state.(string)
		if in.write {
			return legal, in.value
		}
		return legal, state
	},
}

// linearizable has clients read, write and swap registers. Each operation must
// seem to happen at one moment between its call and its return.
func linearizable(e engine.Engine, size int, seed uint64) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	begun := time.Now()
	var mu sync.Mutex
	var all []porcupine.Operation
	var failed error
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for n := w; n < size; n += workers {
				in := register{key: fmt.Sprintf("r%d", n/100*3+rng.IntN(3)), value: fmt.Sprint(n)}
				in.read, in.write = rng.IntN(2) == 0, rng.IntN(2) == 0
				start := time.Since(begun)
				out, err := in.do(ctx, e)
				end := time.Since(begun)
				mu.Lock()
				all = append(all, porcupine.Operation{ClientId: w, Input: in, Call: int64(start), Output: out, Return: int64(end)})
				failed = errors.Join(failed, err)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	if failed != nil {
		return nil, failed
	}
	switch porcupine.CheckOperationsTimeout(oneRegister, all, patience) {
	case porcupine.Ok:
		return nil, nil
	case porcupine.Illegal:
		return []string{"registers are not linearizable"}, nil
	}
	return nil, errors.New("porcupine took too long")
}

// do performs the operation and returns what it read.
func (r register) do(ctx context.Context, e engine.Engine) (out string, err error) {
	get := func(from engine.Reader) error {
		value, _, err := from.Get([]byte(r.key))
		out = string(value)
		return err
	}
	if !r.write {
		err = e.View(ctx, "", get)
		return out, err
	}
	_, err = e.Update(ctx, op, func(tx engine.Tx) error {
		if r.read {
			if err := get(tx); err != nil {
				return err
			}
		}
		return tx.Put([]byte(r.key), []byte(r.value))
	})
	return out, err
}
