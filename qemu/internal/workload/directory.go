package workload

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
)

// Directory is where a worker has its files, below a root.
func Directory(root string, worker int) string { return filepath.Join(root, strconv.Itoa(worker)) }

// ReadAll reads what all workers have, which may be nothing.
func ReadAll(root string, workers int) ([]Tree, error) {
	trees := make([]Tree, workers)
	for i := range trees {
		var err error
		if trees[i], err = ReadTree(Directory(root, i)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return trees, nil
}

// ClearAway leaves empty directories for all workers. That is durable on return.
func ClearAway(root string, workers int) error {
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	for i := range workers {
		if err := os.MkdirAll(Directory(root, i), 0o700); err != nil {
			return err
		}
	}
	d, err := os.Open(root)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
