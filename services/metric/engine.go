package metric

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tuplix/tuplix/dbms/engine"
)

// engineCollector shows the metrics of the store.
type engineCollector struct{ engine engine.Engine }

// figure is one of them.
type figure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*engine.Metrics) float64
}

func counter(name, doc string, of func(*engine.Metrics) float64) figure {
	return figure{prometheus.NewDesc("store_"+name, doc, nil, nil), prometheus.CounterValue, of}
}

func gauge(name, doc string, of func(*engine.Metrics) float64) figure {
	return figure{prometheus.NewDesc("store_"+name, doc, nil, nil), prometheus.GaugeValue, of}
}

var figures = []figure{
	counter("commits_total", "Transactions that took effect.", func(m *engine.Metrics) float64 { return float64(m.Commits) }),
	counter("conflicts_total", "Attempts at transactions that were run again or given up.", func(m *engine.Metrics) float64 { return float64(m.Conflicts) }),
	counter("replays_total", "Operations that had already taken effect.", func(m *engine.Metrics) float64 { return float64(m.Replays) }),
	counter("syncs_total", "Flushes of the device for commits.", func(m *engine.Metrics) float64 { return float64(m.Syncs) }),
	counter("sync_seconds_total", "Time spent in flushes of the device.", func(m *engine.Metrics) float64 { return m.SyncTime.Seconds() }),
	counter("keys_read_total", "Keys read.", func(m *engine.Metrics) float64 { return float64(m.KeysRead) }),
	counter("keys_written_total", "Keys written.", func(m *engine.Metrics) float64 { return float64(m.KeysWritten) }),
	gauge("watchers", "Watches that wait now.", func(m *engine.Metrics) float64 { return float64(m.Watchers) }),
	counter("wakeups_total", "Watches that ended by a change.", func(m *engine.Metrics) float64 { return float64(m.Wakeups) }),
	gauge("superseded_versions", "Versions kept that are not the newest, estimated.", func(m *engine.Metrics) float64 { return float64(m.Superseded) }),
	counter("collected_versions_total", "Versions removed beyond retention.", func(m *engine.Metrics) float64 { return float64(m.Collected.Versions) }),
	gauge("restores_unfinished", "Restores whose keys are not yet all rewritten.", func(m *engine.Metrics) float64 { return float64(m.Restores) }),
	counter("cache_hits_total", "Blocks found in the cache.", func(m *engine.Metrics) float64 { return float64(m.CacheHits) }),
	counter("cache_misses_total", "Blocks read from the device.", func(m *engine.Metrics) float64 { return float64(m.CacheMisses) }),
	counter("compactions_total", "Compactions.", func(m *engine.Metrics) float64 { return float64(m.Compactions) }),
	gauge("device_bytes", "Bytes of the device in use.", func(m *engine.Metrics) float64 { return float64(m.DeviceBytes) }),
	counter("log_bytes_total", "Bytes written to the log.", func(m *engine.Metrics) float64 { return float64(m.LogBytes) }),
	counter("write_stalls_total", "Times that commits waited for compactions.", func(m *engine.Metrics) float64 { return float64(m.WriteStalls) }),
	gauge("oldest_reader_seconds", "Age of the oldest read under way.", func(m *engine.Metrics) float64 { return m.OldestReader.Seconds() }),
}

var (
	levelFiles = prometheus.NewDesc("store_level_files", "Tables of a level of the LSM.", []string{"level"}, nil)
	levelBytes = prometheus.NewDesc("store_level_bytes", "Bytes of a level of the LSM.", []string{"level"}, nil)
)

// Describe is of prometheus.Collector.
func (c engineCollector) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, out) }

// Collect is of prometheus.Collector.
func (c engineCollector) Collect(out chan<- prometheus.Metric) {
	m := c.engine.Metrics()
	for _, f := range figures {
		out <- prometheus.MustNewConstMetric(f.desc, f.kind, f.of(&m))
	}
	for i := range m.LevelFiles {
		level := strconv.Itoa(i)
		out <- prometheus.MustNewConstMetric(levelFiles, prometheus.GaugeValue, float64(m.LevelFiles[i]), level)
		out <- prometheus.MustNewConstMetric(levelBytes, prometheus.GaugeValue, float64(m.LevelBytes[i]), level)
	}
}
