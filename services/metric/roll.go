package metric

import (
	"context"
	"time"

	"github.com/tuplix/tuplix/dbms/table"
)

// roll makes what is due of the coarser tiers, each from the next finer one, and
// removes samples that are kept no longer. Each tier is a transaction.
func (s *Service) roll(ctx context.Context, now time.Time) error {
	var tiers []Tier
	err := s.store.View(ctx, func(tx *table.Tx) error {
		for t, err := range Tiers.Scan(tx, table.Span{}) {
			if err != nil {
				return err
			}
			tiers = append(tiers, t)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := 1; i < len(tiers); i++ {
		end := now.UTC().Truncate(tiers[i].Step)
		if !end.After(tiers[i].Done) {
			continue
		}
		_, err := s.store.Update(ctx, op("metric.Roll"), func(tx *table.Tx) error {
			return rollTier(tx, tiers[i-1], tiers[i].Step, end)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rollTier makes the samples of a tier up to a time, from those of the finer tier,
// and removes old ones of both.
func rollTier(tx *table.Tx, finer Tier, step time.Duration, end time.Time) error {
	t, err := Tiers.Get(tx, step)
	if err != nil {
		return err
	}
	for series, err := range AllSeries.Scan(tx, table.Span{}) {
		if err != nil {
			return err
		}
		if err := condense(tx, finer.Step, step, series.ID, t.Done, end); err != nil {
			return err
		}
		for _, old := range []Tier{finer, t} {
			cutoff := end.Add(-old.Keep)
			if _, err := Samples.DeleteRange(tx, table.From(series.ID, old.Step).To(series.ID, old.Step, cutoff)); err != nil {
				return err
			}
		}
	}
	t.Done = end
	return Tiers.Update(tx, &t)
}

// condense makes one sample of those in each step: (begin, end].
func condense(tx *table.Tx, from, step time.Duration, series uint64, done, end time.Time) error {
	var sum Sample
	flush := func() error {
		if sum.Count == 0 {
			return nil
		}
		sum.Mean /= float64(sum.Count)
		err := Samples.Put(tx, &sum)
		sum = Sample{}
		return err
	}
	span := table.After(series, from, done).Through(series, from, end)
	if done.IsZero() {
		span = table.From(series, from).Through(series, from, end)
	}
	for x, err := range Samples.Scan(tx, span) {
		if err != nil {
			return err
		}
		at := ceil(x.At, step)
		if at != sum.At {
			if err := flush(); err != nil {
				return err
			}
			sum = Sample{Step: step, Series: series, At: at, Least: x.Least, Most: x.Most}
		}
		sum.Value, sum.Least, sum.Most = x.Value, min(sum.Least, x.Least), max(sum.Most, x.Most)
		sum.Mean += x.Mean * float64(x.Count)
		sum.Count += x.Count
	}
	return flush()
}

// ceil is the end of the step in which t is.
func ceil(t time.Time, step time.Duration) time.Time {
	if down := t.Truncate(step); !down.Equal(t) {
		return down.Add(step)
	}
	return t
}
