package services

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/metric"
	"github.com/tuplix/tuplix/services/system"
)

func metrics(open Open) *command.Command {
	show := open.completed(metricShow(open), func(ctx context.Context, tx *table.Tx) ([]string, error) {
		return keys(metric.AllSeries, func(s *metric.Series) string { return s.Name })(ctx, tx)
	})
	return command.Group("metric", "figures of the system, now and over time", metricList(open), show)
}

func metricList(open Open) *command.Command {
	return open.verb("list", "[--json] [text]", "list all figures with their last sample, or those whose name contains a text",
		func(c *command.Call) (job, error) {
			o := c.Options()
			json := o.Flag("json", jsonHelp)
			args, err := o.Parse(0, 1)
			return func(ctx context.Context, s *system.System) error {
				list := c.List(*json, "metric", "labels", "value", "at", "kind", "what")
				err := sampled(ctx, s, func(tx *table.Tx, series *metric.Series) error {
					if len(args) == 1 && !strings.Contains(series.Name, args[0]) {
						return nil
					}
					last, err := metric.Samples.First(tx, table.Prefix(series.ID, time.Duration(0)).Reverse())
					if errors.Is(err, table.ErrNotFound) {
						return list.Row(series.Name, series.Labels, nil, nil, series.Kind, series.Doc)
					}
					if err != nil {
						return err
					}
					return list.Row(series.Name, series.Labels, figure(last.Value), last.At, series.Kind, series.Doc)
				})
				if err == nil && list.Len() == 0 {
					fmt.Fprintf(c.Err, "metric: nothing yet; the first sample is taken %s after the start\n", metric.Step.In(s.Config))
				}
				return errors.Join(err, list.End())
			}, err
		})
}

// figure is a number that people can read; JSON has it as it is.
type figure float64

func (f figure) String() string {
	if v := float64(f); v == float64(int64(v)) {
		return fmt.Sprint(int64(v))
	}
	return fmt.Sprintf("%.4g", float64(f))
}

// sampled calls each for all series, in the order of names.
func sampled(ctx context.Context, s *system.System, each func(tx *table.Tx, series *metric.Series) error) error {
	return s.Store.View(ctx, func(tx *table.Tx) error {
		for _, name := range []string{metric.AllSeries.Name(), metric.Samples.Name()} {
			if err := mayRead(ctx, tx, name); err != nil {
				return err
			}
		}
		for series, err := range metric.ByName.Scan(tx, table.Span{}) {
			if err == nil {
				err = each(tx, &series)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func metricShow(open Open) *command.Command {
	return open.verb("show", "[--since time] [--step time] [-n count] [--json] name", "print the samples of a figure, the oldest first",
		func(c *command.Call) (job, error) {
			o := c.Options()
			since := o.String("since", "TIME", "-1h", "from this time on, the last hour if not told: "+pastHelp)
			step := o.String("step", "TIME", "0s", "of samples so far apart: 5m or 1h, which are kept longer")
			limit := o.Int("n,limit", "N", 100, 0, "at most so many of each figure; 0: all")
			json := o.Flag("json", jsonHelp)
			args, err := o.Parse(1, 1)
			if err != nil {
				return nil, err
			}
			var tier time.Duration
			from, err := pastTime("--since", *since)
			err = errors.Join(err, span(&tier, "--step", *step))
			return func(ctx context.Context, s *system.System) error {
				list := c.List(*json, "at", "labels", "value", "least", "most", "mean", "samples")
				err := sampled(ctx, s, func(tx *table.Tx, series *metric.Series) error {
					if series.Name != args[0] {
						return nil
					}
					span := table.From(series.ID, tier, from).Through(series.ID, tier).Limit(*limit)
					for x, err := range metric.Samples.Scan(tx, span) {
						if err != nil {
							return err
						}
						err := list.Row(x.At, series.Labels, figure(x.Value), figure(x.Least), figure(x.Most), figure(x.Mean), x.Count)
						if err != nil {
							return err
						}
					}
					return nil
				})
				if err == nil && list.Len() == 0 {
					err = fmt.Errorf("%s: no samples since %s; metric list shows the names", args[0], command.Moment(from))
				}
				return errors.Join(err, list.End())
			}, err
		})
}
