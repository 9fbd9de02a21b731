package enginetest

import (
	"context"
	"slices"
	"time"

	"github.com/tuplix/tuplix/dbms/engine"
)

// reading makes a change to all readers, those of transactions included.
func reading(change func(*reads)) func(*mutant) {
	return func(m *mutant) {
		m.reader = func(r engine.Reader) engine.Reader {
			x := &reads{Reader: r}
			change(x)
			return x
		}
	}
}

func writing(change func(*writes)) func(*mutant) {
	return func(m *mutant) {
		m.tx = func(tx engine.Tx) engine.Tx {
			x := &writes{Tx: tx}
			change(x)
			return x
		}
	}
}

// mutants are faults, each with the test that must find it.
var mutants = []struct {
	name, test string
	change     func(*mutant)
}{
	{"versions repeat", "Order", func(m *mutant) {
		var first engine.Version
		m.update = func(ctx context.Context, op *engine.Op, fn func(engine.Tx) error) (engine.Version, error) {
			v, err := m.Engine.Update(ctx, op, fn)
			if first == "" {
				first = v
			}
			return first, err
		}
	}},
	{"operations are not told apart", "Once", func(m *mutant) {
		m.update = func(ctx context.Context, op *engine.Op, fn func(engine.Tx) error) (engine.Version, error) {
			anonymous := *op
			anonymous.ID = ""
			return m.Engine.Update(ctx, &anonymous, fn)
		}
	}},
	{"a failed transaction takes effect", "Failing", func(m *mutant) {
		m.update = func(ctx context.Context, op *engine.Op, fn func(engine.Tx) error) (engine.Version, error) {
			var failed error
			v, err := m.Engine.Update(ctx, op, func(tx engine.Tx) error { failed = fn(tx); return nil })
			if failed != nil {
				return "", failed
			}
			return v, err
		}
	}},
	{"a cancelled transaction takes effect", "Cancelled", func(m *mutant) {
		m.update = func(ctx context.Context, op *engine.Op, fn func(engine.Tx) error) (engine.Version, error) {
			v, err := m.Engine.Update(context.WithoutCancel(ctx), op, fn)
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			return v, err
		}
	}},
	{"views show the newest", "Past", func(m *mutant) {
		m.at = func(engine.Version) engine.Version { return "" }
	}},
	{"reverse scans go forward", "Scan", reading(func(r *reads) {
		r.scan = func(rng engine.Range, o engine.ScanOptions) (engine.Range, engine.ScanOptions) {
			o.Reverse = false
			return rng, o
		}
	})},
	{"scans include their end", "Scan", reading(func(r *reads) {
		r.scan = func(rng engine.Range, o engine.ScanOptions) (engine.Range, engine.ScanOptions) {
			if rng.High != nil && !rng.Empty() {
				rng.High = append(slices.Clone(rng.High), 0)
			}
			return rng, o
		}
	})},
	{"the hint is a limit", "Scan", reading(func(r *reads) { r.limited = true })},
	{"a batch goes on after an error", "Batch", reading(func(r *reads) {
		r.batch = func(keys [][]byte, each func(int, []byte) error) error {
			var first error
			err := r.Reader.GetBatch(keys, func(i int, v []byte) error {
				if err := each(i, v); err != nil && first == nil {
					first = err
				}
				return nil
			})
			if first != nil {
				return first
			}
			return err
		}
	})},
	{"a batch skips repeated keys", "Batch", reading(func(r *reads) {
		r.batch = func(keys [][]byte, each func(int, []byte) error) error {
			seen := map[string]bool{}
			return r.Reader.GetBatch(keys, func(i int, v []byte) error {
				if seen[string(keys[i])] {
					return nil
				}
				seen[string(keys[i])] = true
				return each(i, v)
			})
		}
	})},
	{"a reader's past is its present", "ReaderAt", reading(func(r *reads) {
		r.at = func(engine.Version) engine.Version { return r.Version() }
	})},
	{"history without deletions", "History", reading(func(r *reads) {
		r.row = func(row *engine.Row) bool { return !row.Deleted }
	})},
	{"history without an end", "History", reading(func(r *reads) {
		r.row = func(row *engine.Row) bool { row.Until = ""; return true }
	})},
	{"nothing is hidden", "RestoreHistory", reading(func(r *reads) {
		r.row = func(row *engine.Row) bool { row.Hidden = false; return true }
	})},
	{"changes without restores", "Changes", reading(func(r *reads) {
		r.row = func(row *engine.Row) bool { return row.Restore == nil }
	})},
	{"commits in one order only", "Commits", reading(func(r *reads) {
		r.commits = func(from engine.Version, _ bool) (engine.Version, bool) { return from, false }
	})},
	{"commits from the beginning", "Commits", reading(func(r *reads) {
		r.commits = func(_ engine.Version, reverse bool) (engine.Version, bool) { return "", reverse }
	})},
	{"provenance without the task", "Commits", reading(func(r *reads) {
		r.commit = func(c *engine.Commit) { c.Op.Task = "" }
	})},
	{"provenance without keys", "Trace", reading(func(r *reads) {
		r.commit = func(c *engine.Commit) { c.Keys = nil }
	})},
	{"rows are not counted", "Commits", writing(func(w *writes) {
		w.count = func(read, _ int, keys [][]byte) (int, int, [][]byte) { return read, 0, keys }
	})},
	{"deletions leave the key empty", "Past", writing(func(w *writes) {
		w.remove = func(key []byte) error { return w.Put(key, nil) }
	})},
	{"restores do nothing", "Restore", writing(func(w *writes) {
		w.restore = func(engine.Range, engine.Version) error { return nil }
	})},
	{"restores of everything", "Restore", writing(func(w *writes) {
		w.restore = func(_ engine.Range, to engine.Version) error { return w.Tx.Restore(engine.All, to) }
	})},
	{"restores remove", "RestoreNested", writing(func(w *writes) {
		w.restore = func(r engine.Range, _ engine.Version) error { return w.Tx.Restore(r, "") }
	})},
	{"nothing ever changes", "Changed", writing(func(w *writes) { w.changed = func() bool { return false } })},
	{"all has always changed", "Changed", writing(func(w *writes) { w.changed = func() bool { return true } })},
	{"watches begin now", "WatchEarly", func(m *mutant) {
		m.watch = func(ctx context.Context, _ engine.Version, ranges []engine.Range) (engine.Version, error) {
			short, cancel := context.WithTimeout(ctx, time.Second) // do not wait for the suite's patience
			defer cancel()
			return m.Engine.Watch(short, "", ranges...)
		}
	}},
	{"watches look at one range", "Watch", func(m *mutant) {
		m.watch = func(ctx context.Context, since engine.Version, ranges []engine.Range) (engine.Version, error) {
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			return m.Engine.Watch(short, since, ranges[0])
		}
	}},
	{"watches return an old version", "Watch", func(m *mutant) {
		m.watch = func(ctx context.Context, since engine.Version, ranges []engine.Range) (engine.Version, error) {
			_, err := m.Engine.Watch(ctx, since, ranges...)
			return since, err
		}
	}},
	{"no operation is known", "Once", func(m *mutant) {
		m.resolve = func() (engine.Version, bool, error) { return "", false, nil }
	}},
	{"time is a minute late", "Time", func(m *mutant) {
		m.time = func(t time.Time) time.Time { return t.Add(-time.Minute) }
	}},
	{"time stands still", "Time", func(m *mutant) {
		m.time = func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }
	}},
	{"nothing is collected", "Retention", func(m *mutant) {
		m.collect = func() (engine.Collected, error) { return engine.Collected{}, nil }
	}},
	{"retention is for everything", "RetentionOfRanges", func(m *mutant) {
		m.retain = func(engine.Range) engine.Range { return engine.All }
	}},
	{"the horizon is the newest", "Retention", func(m *mutant) {
		m.horizon = func() (v engine.Version, err error) {
			err = m.Engine.View(context.Background(), "", func(r engine.Reader) error { v = r.Version(); return nil })
			return v, err
		}
	}},
}
