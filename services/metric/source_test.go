package metric_test

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/services/metric/figure"
)

// heat is a board's figure. Whatever is opened later in this process has it, too.
var heat = sync.OnceFunc(func() {
	figure.Provide(func() []figure.Value {
		return []figure.Value{figure.Gauge("board_heat", "Of the test's board.", 36.5)}
	})
})

// What a source lists is sampled and served as it is then, also what it lists only later;
// a source of the board's is there from the beginning.
func TestSources(t *testing.T) {
	heat()
	s := open(t, vfs.NewMem())
	defer s.close()
	list := []figure.Value{figure.Counter("card_frames_total", "Frames.", 7).With("device", "eth0")}
	s.metric.Add(func() []figure.Value { return list })
	begin := time.Now()
	s.sample(t, begin)
	list = append(list, figure.Counter("card_frames_total", "Frames.", 1).With("device", "eth1"))
	list[0].Now = 9
	s.sample(t, begin.Add(time.Second))

	for _, c := range []struct {
		name, labels string
		want         []float64
	}{
		{"board_heat", "", []float64{36.5, 36.5}},
		{"card_frames_total", `device="eth0"`, []float64{7, 9}},
		{"card_frames_total", `device="eth1"`, []float64{1}},
	} {
		have := s.samples(t, c.name, c.labels, 0)
		if len(have) != len(c.want) {
			t.Fatalf("%s{%s}: %+v", c.name, c.labels, have)
		}
		for i, want := range c.want {
			if have[i].Value != want {
				t.Errorf("%s{%s}: sample %d is %+v, want %v", c.name, c.labels, i, have[i], want)
			}
		}
	}
	w := httptest.NewRecorder()
	s.metric.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{"# TYPE board_heat gauge", "# TYPE card_frames_total counter", `card_frames_total{device="eth0"} 9`} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("%q is not served", want)
		}
	}
}
