package file

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
)

// oldDir is the directory of a volume in which files were kept before they were
// tables.
const oldDir = "files"

// OpenVolume opens the store of a volume, with the given tables, which include
// Tables, and the files in it. Of o it sets what the store tells: Space and
// MakeRoom. The caller closes the files, then the store. Errors are those of
// store.Open and Open, and ErrFormat for a volume with files of a database of their
// own.
func OpenVolume(ctx context.Context, volume vfs.FS, so store.Options, o Options, tables ...table.Declared) (*store.Store, *FS, error) {
	if _, err := volume.Stat(oldDir); err == nil {
		return nil, nil, fmt.Errorf("%w: they are in a database of their own, as before they were tables", ErrFormat)
	}
	st, err := store.Open(ctx, volume, so, tables...)
	if err != nil {
		return nil, nil, err
	}
	o.Space, o.MakeRoom = st.Space, st.MakeRoom
	fs, err := Open(st.DB, o)
	if err != nil {
		return nil, nil, errors.Join(err, st.Close())
	}
	return st, fs, nil
}
