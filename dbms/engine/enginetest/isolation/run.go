package isolation

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/tuplix/tuplix/dbms/engine"
)

// workers run at the same time.
const workers = 6

// Run runs all workloads, each of about size transactions, on empty stores.
func Run(t *testing.T, size int, open func(t *testing.T) engine.Engine) {
	seed := rand.Uint64()
	if text, given := os.LookupEnv("ISOLATION_SEED"); given {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("ISOLATION_SEED: %v", err)
		}
	}
	if testing.Short() {
		size = min(size, 400)
	}
	t.Logf("to repeat: ISOLATION_SEED=%d", seed)
	for name, load := range map[string]func(engine.Engine, int, uint64) ([]string, error){
		"Lists": lists, "Registers": registers, "Linearizable": linearizable, "Bank": bank, "Restored": restored,
	} {
		t.Run(name, func(t *testing.T) {
			e := open(t)
			bad, err := load(e, size, seed)
			if err != nil {
				t.Error(err)
			}
			for i, text := range bad {
				if i == 10 {
					t.Errorf("and %d more", len(bad)-i)
					break
				}
				t.Error(text)
			}
			err = e.Check(t.Context(), func(p engine.Problem) { t.Errorf("%s: %s", p.Where, p.What) })
			if err != nil {
				t.Error(err)
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
