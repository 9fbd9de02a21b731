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

// heapFloor is what the heap of an image has on a machine with a GiB before it is first
// collected (docs/decisions/0021). Here, for ours and for gRPC alike, memory that is never
// touched has the same effect. A process on Linux that holds as little as a system that
// has just been opened is collected from 4 MiB on.
const heapFloor = 64 << 20

// measureServices is the part "services": what the services do, in this process,
// against what people use for the same elsewhere.
func measureServices(ctx context.Context, o *options, log io.Writer) ([]figure, error) {
	floor := make([]byte, heapFloor/2)
	defer runtime.KeepAlive(floor)
	runtime.GC() // from now on the next is at twice what is held
	return measureContests(ctx, o, log, func() error { return nil }, slices.Concat(taskContests(), messageContests(), networkContests(), fileContests()))
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
