package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	services "github.com/tuplix/tuplix/services/system"
)

// measureServices is the part "services": what the services do, in this process,
// against what people use for the same elsewhere.
func measureServices(ctx context.Context, o *options, log io.Writer) ([]figure, error) {
	return measureContests(ctx, o, log, func() error { return nil }, slices.Concat(messageContests(), taskContests()))
}

func aboutServices(context.Context, *options) (string, error) {
	return fmt.Sprintf("in one process, stores in memory where nothing else is said, %d processors, %s", runtime.NumCPU(), runtime.Version()), nil
}

// withSystem runs fn with the services of a new system.
func withSystem(ctx context.Context, fn func(s *services.System) error) (err error) {
	s, err := services.Open(ctx, vfs.NewMem(), services.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return fn(s)
}
