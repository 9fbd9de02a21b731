package metric

import (
	"time"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
)

// Series is one figure of which samples are taken.
type Series struct {
	ID     uint64            `table:"key,auto"` // its number in os.samples
	Name   string            // as Prometheus names it
	Labels string            // label="value", joined by commas, in order; "" for none
	Kind   string            // counter, gauge; for parts of histograms and summaries, counter
	Doc    string            // what it counts
	Tags   map[string]string `table:"json"` // the labels again, as an object
}

// Sample is the value of a series over some time.
type Sample struct {
	Series uint64        `table:"key"` // its number in os.series
	Step   time.Duration `table:"key"` // of the tier
	At     time.Time     `table:"key"` // the end of the time
	Value  float64       // the last value
	Least  float64       // the least of those in that time
	Most   float64       // the greatest
	Mean   float64       // their mean
	Count  int64         // how many there were
}

// Tier is samples that are equally far apart.
type Tier struct {
	Step time.Duration `table:"key"` // between samples; 0 is the finest tier: every metric.step
	Keep time.Duration // how long samples are kept
	Done time.Time     // up to which moment samples of this tier were made from the next finer one
}

// The tables.
var (
	AllSeries = table.Declare[Series]("os.series")
	ByName    = AllSeries.Unique("name", "name", "labels")
	Samples   = table.Declare[Sample]("os.samples").Cascade("series", AllSeries, "series")
	Tiers     = table.Declare[Tier]("os.metric_tiers").Check("keep", "keep > '0s'")
)

// Tables returns the tables that the package owns.
func Tables() []table.Declared { return []table.Declared{AllSeries, Samples, Tiers} }

// Step is how often samples are taken.
var Step = config.Between(config.Duration("metric.step", 15*time.Second, "How often all figures are sampled."), time.Second, time.Hour)

// Settings returns the settings that the package declares.
func Settings() []config.Declared { return []config.Declared{Step, Listen} }

// initial are the tiers of a new store.
var initial = []Tier{
	{Step: 0, Keep: 6 * time.Hour},
	{Step: 5 * time.Minute, Keep: 14 * 24 * time.Hour},
	{Step: time.Hour, Keep: 2 * 365 * 24 * time.Hour},
}
