package prometheus

import "math"

// Histogram takes observations.
type Histogram interface{ Observe(float64) }

// HistogramOpts say what a histogram is like.
type HistogramOpts struct {
	Buckets []float64 // their upper limits, ascending
}

// NewHistogram returns a histogram that nobody reads and that keeps nothing.
func NewHistogram(HistogramOpts) Histogram { return unread{} }

type unread struct{}

// Observe does nothing.
func (unread) Observe(float64) {}

// LinearBuckets returns the limits of n buckets from start on, each of that width.
func LinearBuckets(start, width float64, n int) []float64 {
	limits := make([]float64, n)
	for i := range limits {
		limits[i] = start
		start += width
	}
	return limits
}

// ExponentialBucketsRange returns n limits from least to most, each by the same factor
// larger than the one before.
func ExponentialBucketsRange(least, most float64, n int) []float64 {
	factor := math.Pow(most/least, 1/float64(n-1))
	limits := make([]float64, n)
	for i := range limits {
		limits[i] = least * math.Pow(factor, float64(i))
	}
	return limits
}
