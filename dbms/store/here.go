package store

import (
	"context"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/dbms/volume"
)

// OpenHere opens the store of the machine that the program runs on, and sees that
// it is durable when the machine ends. Memory and Log are the machine's where o
// does not say otherwise. It fails with volume.ErrNone in a process of Linux;
// other errors are those of Open.
func OpenHere(ctx context.Context, o Options, tables ...table.Declared) (*Store, error) {
	here, err := volume.Here()
	if err != nil {
		return nil, err
	}
	if o.Memory == 0 {
		o.Memory = here.Memory
	}
	if o.Log == nil {
		o.Log = here.Log
	}
	s, err := Open(ctx, here.FS, o, tables...)
	if err != nil {
		return nil, err
	}
	volume.AtExit(func() error { return s.engine.Sync(context.Background(), "") })
	return s, nil
}
