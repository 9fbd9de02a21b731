// Package enginetest says, as tests, what every engine must do. It owns the
// conformance suite: Run goes through the promises of package engine one by one;
// a Suite also covers those for which it must open a store a second time or move
// the clock.
//
//	func TestEngine(t *testing.T) {
//		enginetest.Run(t, func(t *testing.T) engine.Engine { return openEmpty(t) })
//	}
//
// The last test compares the engine with package model by random operations. It
// prints its seed; ENGINE_SEED=n repeats a run, and ENGINE_STEPS=n sets its
// length. Concurrent tests need no seed: they check what must hold in any order.
//
// Package history, below, judges recorded histories of concurrent transactions.
//
// It imports engine and the model, guarantees that a test fails rather than waits
// for ever, and refuses knowledge of any other engine:
// what one of them needs beyond the promises is tested where it lives.
package enginetest
