package metric

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// reading is the value of one series now.
type reading struct {
	series Series
	value  float64
}

// gather reads all figures. It returns those it could read also with an error.
func gather(g prometheus.Gatherer) ([]reading, error) {
	families, err := g.Gather()
	var out []reading
	for _, f := range families {
		for _, m := range f.Metric {
			out = append(out, flatten(f, m)...)
		}
	}
	return out, err
}

// flatten makes one reading of a plain metric, and several of a histogram or
// summary, named as in Prometheus's text format.
func flatten(f *dto.MetricFamily, m *dto.Metric) (out []reading) {
	add := func(suffix, kind string, value float64, extra ...string) {
		tags := map[string]string{}
		for _, l := range m.Label {
			tags[l.GetName()] = l.GetValue()
		}
		if len(extra) == 2 {
			tags[extra[0]] = extra[1]
		}
		series := Series{Name: f.GetName() + suffix, Labels: labels(tags), Kind: kind, Doc: f.GetHelp(), Tags: tags}
		out = append(out, reading{series, value})
	}
	switch f.GetType() {
	case dto.MetricType_COUNTER:
		add("", "counter", m.Counter.GetValue())
	case dto.MetricType_GAUGE:
		add("", "gauge", m.Gauge.GetValue())
	case dto.MetricType_UNTYPED:
		add("", "gauge", m.Untyped.GetValue())
	case dto.MetricType_SUMMARY:
		for _, q := range m.Summary.Quantile {
			add("", "gauge", q.GetValue(), "quantile", number(q.GetQuantile()))
		}
		add("_sum", "counter", m.Summary.GetSampleSum())
		add("_count", "counter", float64(m.Summary.GetSampleCount()))
	case dto.MetricType_HISTOGRAM:
		for _, b := range m.Histogram.Bucket {
			add("_bucket", "counter", float64(b.GetCumulativeCount()), "le", number(b.GetUpperBound()))
		}
		add("_sum", "counter", m.Histogram.GetSampleSum())
		add("_count", "counter", float64(m.Histogram.GetSampleCount()))
	}
	return out
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// labels writes tags in one form only, so that it can be a key.
func labels(tags map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		parts = append(parts, name+"="+strconv.Quote(tags[name]))
	}
	return strings.Join(parts, ",")
}
