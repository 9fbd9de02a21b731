package host

import (
	"context"
	"errors"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
)

// Store is a store with the volume and device that it lies on.
type Store struct {
	*store.Store
	volume *Volume
}

// Open opens the store on the device at path (OpenVolume), and makes one where
// there is none. Errors are those of OpenVolume and store.Open.
func Open(ctx context.Context, path string, o Options, so store.Options, tables ...table.Declared) (*Store, error) {
	v, err := OpenVolume(path, o)
	if err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, v, so, tables...)
	if err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return &Store{Store: s, volume: v}, nil
}

// Close makes everything durable and closes the store and what is below.
func (s *Store) Close() error { return errors.Join(s.Store.Close(), s.volume.Close()) }
