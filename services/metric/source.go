package metric

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tuplix/tuplix/services/metric/figure"
)

// Add has the figures of a source sampled and served beside the others, from now on.
func (s *Service) Add(source figure.Source) {
	s.registry.MustRegister(&sourceCollector{source}) // which it does not compare with others
}

// sourceCollector shows the figures of a source.
type sourceCollector struct{ source figure.Source }

// Describe is of prometheus.Collector. It tells nothing, so the registry asks for no
// more than that no two figures be the same.
func (c *sourceCollector) Describe(chan<- *prometheus.Desc) {}

// Collect is of prometheus.Collector.
func (c *sourceCollector) Collect(out chan<- prometheus.Metric) {
	for _, v := range c.source() {
		kind := prometheus.GaugeValue
		if v.Counter {
			kind = prometheus.CounterValue
		}
		var names, values []string
		if v.Label != "" {
			names, values = []string{v.Label}, []string{v.Of}
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc(v.Name, v.Doc, names, nil), kind, v.Now, values...)
	}
}
