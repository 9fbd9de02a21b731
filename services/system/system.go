package system

import (
	"context"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// Tables returns the tables of all services.
func Tables() []table.Declared {
	return slices.Concat(user.Tables())
}

// Options say how a System is opened. The zero value is sensible.
type Options struct {
	Store store.Options
}

// System is the open services. All methods may be called concurrently.
type System struct {
	Store *store.Store // with the tables of all services
}

// Open opens the store of a volume and starts the services. Errors are those of
// store.Open.
func Open(ctx context.Context, volume vfs.FS, o Options) (*System, error) {
	s, err := store.Open(ctx, volume, o.Store, Tables()...)
	if err != nil {
		return nil, err
	}
	return &System{Store: s}, nil
}

// Close ends the services, then the store.
func (s *System) Close() error { return s.Store.Close() }
