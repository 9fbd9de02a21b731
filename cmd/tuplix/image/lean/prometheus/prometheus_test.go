package prometheus_test

import (
	"math"
	"testing"

	theirs "github.com/prometheus/client_golang/prometheus"

	"github.com/tuplix/tuplix/cmd/tuplix/image/lean/prometheus"
)

func TestBuckets(t *testing.T) {
	same := func(got, want []float64) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("%d limits, want %d", len(got), len(want))
		}
		for i := range got {
			if math.Abs(got[i]-want[i]) > want[i]*1e-12 {
				t.Errorf("limit %d is %v, want %v", i, got[i], want[i])
			}
		}
	}
	same(prometheus.LinearBuckets(0, 1e5, 50), theirs.LinearBuckets(0, 1e5, 50))
	same(prometheus.ExponentialBucketsRange(5e6, 1e10, 50), theirs.ExponentialBucketsRange(5e6, 1e10, 50))
	prometheus.NewHistogram(prometheus.HistogramOpts{Buckets: []float64{1}}).Observe(2)
}
