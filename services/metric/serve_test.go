package metric_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/metric"
)

// Figures are served from the moment a setting says where, until it does no more.
func TestServe(t *testing.T) {
	tables := append(metric.Tables(), config.Tables()...)
	s, err := store.Open(t.Context(), vfs.NewMem(), store.Options{}, tables...)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := config.Open(t.Context(), s, config.Options{}, metric.Settings()...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	said := make(chan error, 10)
	m, err := metric.Open(t.Context(), s, c, metric.Options{Failed: func(err error) { said <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Addr() != nil {
		t.Fatalf("unasked, figures are served at %v", m.Addr())
	}
	at := func(address string) {
		t.Helper()
		if err := c.Set(t.Context(), metric.Listen.Name(), &address); err != nil {
			t.Fatal(err)
		}
		for (m.Addr() != nil) != (address != "") { // the setting is followed
			time.Sleep(time.Millisecond)
		}
	}
	at("127.0.0.1:0")
	url := "http://" + m.Addr().String()
	for path, want := range map[string]string{"/metrics": "\nstore_commits_total ", "/": "\ngo_goroutines "} {
		r, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != 200 || !strings.Contains(string(text), want) || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: %s, %v: %.200s", path, r.Status, err, text)
		}
	}
	if r, err := http.Get(url + "/other"); err != nil || r.StatusCode != 404 {
		t.Errorf("another page: %v, %v", r, err)
	}
	at("")
	http.DefaultClient.CloseIdleConnections()
	if _, err := http.Get(url + "/metrics"); err == nil {
		t.Error("figures are still served")
	}
	nonsense := "everywhere"
	if err := c.Set(t.Context(), metric.Listen.Name(), &nonsense); err == nil {
		t.Error("nonsense was taken for an address")
	}
	taken := "203.0.113.1:1" // of nobody here
	if err := c.Set(t.Context(), metric.Listen.Name(), &taken); err != nil {
		t.Fatal(err)
	}
	if err := <-said; !strings.Contains(err.Error(), "203.0.113.1:1") {
		t.Errorf("it says %v", err)
	}
}
