package enginetest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

// Suite is the tests with what they need of an engine.
type Suite struct {
	// Open returns an empty store. The test closes it; Open may register a
	// cleanup that closes it once more.
	Open func(t *testing.T) engine.Engine

	// Reopen opens the store that e, closed, was of. Nil leaves the tests of
	// reopening out.
	Reopen func(t *testing.T, e engine.Engine) engine.Engine

	// Clock is what the engines that Open returns take for the wall clock. Nil
	// leaves the tests of retention out.
	Clock *Clock
}

// Run runs the tests that need only an empty store.
func Run(t *testing.T, open func(t *testing.T) engine.Engine) {
	Suite{Open: open}.Run(t)
}

// Clock is the wall clock plus what it was advanced by.
type Clock struct{ ahead atomic.Int64 }

// Now returns the time.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Advance lets d pass; a negative d sets the clock back.
func (c *Clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

// Run runs all tests.
func (s Suite) Run(t *testing.T) {
	if s.Clock != nil {
		s.Clock.ahead.Store(0)
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T, *store)
	}{
		{"Empty", testEmpty},
		{"Values", testValues},
		{"Order", testOrder},
		{"NoWrites", testNoWrites},
		{"Failing", testFailing},
		{"Panic", testPanic},
		{"Cancelled", testCancelled},
		{"Once", testOnce},
		{"OnceConcurrently", testOnceConcurrently},
		{"Limits", testLimits},
		{"Writes", testMaxWrites},
		{"Scan", testScan},
		{"ScanLarge", testScanLarge},
		{"LongKeys", testLongKeys},
		{"Batch", testBatch},
		{"Builds", testBuildsOn},
		{"Past", testPast},
		{"ReaderAt", testReaderAt},
		{"Versions", testForeignVersions},
		{"History", testHistory},
		{"Changes", testChanges},
		{"Commits", testCommits},
		{"PastInUpdate", testPastInUpdate},
		{"Trace", testTrace},
		{"Time", testTime},
		{"Changed", testChanged},
		{"Restore", testRestore},
		{"RestoreHistory", testRestoreHistory},
		{"RestoreNested", testRestoreNested},
		{"RestoreUndone", testRestoreUndone},
		{"RestoreDeleted", testRestoreDeleted},
		{"RestoreThenWrite", testRestoreThenWrite},
		{"RestoreEmpty", testRestoreEmpty},
		{"RestoreRefused", testRestoreRefused},
		{"RestoreLarge", testRestoreLarge},
		{"Watch", testWatch},
		{"WatchEarly", testWatchEarly},
		{"WatchRestore", testWatchRestore},
		{"WatchCancelled", testWatchCancelled},
		{"WatchMany", testWatchMany},
		{"WatchRace", testWatchRace},
		{"Snapshots", testSnapshots},
		{"Views", testViewsDoNotBlock},
		{"Counter", testCounter},
		{"WriteSkew", testWriteSkew},
		{"Phantom", testPhantom},
		{"RealTime", testRealTime},
		{"Sync", testSync},
		{"Owed", testOwed},
		{"Check", testCheck},
		{"Metrics", testMetrics},
		{"Close", testClose},
		{"CloseWatch", testCloseEndsWatch},
		{"Model", testModel},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s.open(t)) })
	}
	t.Run("Reopen", func(t *testing.T) { s.testReopen(t) })
	t.Run("Retention", func(t *testing.T) { s.testRetention(t) })
	t.Run("RetentionOfRanges", func(t *testing.T) { s.testRetentionOfRanges(t) })
	t.Run("RetentionOfRestores", func(t *testing.T) { s.testRetentionOfRestores(t) })
	t.Run("ClockSetBack", func(t *testing.T) { s.testClockSetBack(t) })
}

// patience is how long anything may take before a test gives up.
const patience = 5 * time.Minute

// open returns an empty store for one test, which ends with a check of it.
func (s Suite) open(t *testing.T) *store {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	st := &store{Engine: s.Open(t), t: t, ctx: ctx}
	t.Cleanup(func() {
		defer cancel()
		if !st.closed {
			st.check()
			st.close()
		}
	})
	return st
}
