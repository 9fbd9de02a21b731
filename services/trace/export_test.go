package trace_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/trace"
	"github.com/tuplix/tuplix/services/user"
)

// collect makes spans while a collector of the given status listens, and returns what
// it was sent and what the service complains of.
func collect(t *testing.T, answer int) (bodies []string, complaints []error) {
	t.Helper()
	sent := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s, %v, %v", r.Method, r.URL, r.Header, err)
		}
		sent <- string(body)
		w.WriteHeader(answer)
	}))
	defer collector.Close()
	s, err := store.Open(t.Context(), vfs.NewMem(), store.Options{}, slices.Concat(trace.Tables(), config.Tables())...)
	must(t, err)
	c, err := config.Open(t.Context(), s, config.Options{Override: map[string]string{"trace.otlp": collector.URL + "/v1/traces"}}, trace.Settings()...)
	must(t, err)
	now := time.Unix(1_800_000_000, 5)
	x, err := trace.Open(t.Context(), s, c, trace.Options{Now: func() time.Time { return now }, Failed: func(err error) { complaints = append(complaints, err) }})
	must(t, err)
	ctx, err := trace.Remote(user.With(t.Context(), user.Caller{User: "ann", Program: "shop", Task: "7"}), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	must(t, err)
	_, span := x.Start(ctx, "pay", slog.Int64("cents", 1<<60), slog.Bool("card", true), slog.String("for", "tea"))
	now = now.Add(time.Second)
	span.End(errors.New("no money"))
	x.Close()
	c.Close()
	must(t, s.Close())
	close(sent)
	for body := range sent {
		bodies = append(bodies, body)
	}
	return bodies, complaints
}

// A collector gets spans in the form that the OTLP specification has for JSON.
func TestExport(t *testing.T) {
	bodies, complaints := collect(t, http.StatusOK)
	if len(bodies) != 1 || len(complaints) > 0 {
		t.Fatalf("%q, %v", bodies, complaints)
	}
	const id = `"spanId":"`
	got := bodies[0]
	if at := strings.Index(got, id); at > 0 { // which is random
		got = got[:at+len(id)] + "*" + got[at+len(id)+16:]
	}
	const want = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},` +
		`"scopeSpans":[{"scope":{"name":"tuplix"},"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"*",` +
		`"parentSpanId":"b7ad6b7169203331","name":"pay","kind":1,"startTimeUnixNano":"1800000000000000005","endTimeUnixNano":"1800000001000000005",` +
		`"attributes":[{"key":"card","value":{"boolValue":true}},{"key":"cents","value":{"intValue":"1152921504606846976"}},` +
		`{"key":"enduser.id","value":{"stringValue":"ann"}},{"key":"for","value":{"stringValue":"tea"}},{"key":"tuplix.task","value":{"stringValue":"7"}}],` +
		`"status":{"code":2,"message":"no money"}}]}]}]}`
	if got != want {
		t.Errorf("sent\n%s\nshould be\n%s", got, want)
	}
}

// A collector that refuses costs the spans' way to it, and nothing else.
func TestExportRefused(t *testing.T) {
	bodies, complaints := collect(t, http.StatusServiceUnavailable)
	if len(bodies) != 1 || len(complaints) != 1 || !strings.Contains(complaints[0].Error(), "503") {
		t.Errorf("%q, %v", bodies, complaints)
	}
}

// What is no address of a collector is refused.
func TestExportAddress(t *testing.T) {
	s, err := store.Open(t.Context(), vfs.NewMem(), store.Options{}, config.Tables()...)
	must(t, err)
	defer s.Close()
	for _, address := range []string{"collector", "ftp://collector", "http://"} {
		c, err := config.Open(t.Context(), s, config.Options{Override: map[string]string{"trace.otlp": address}}, trace.Settings()...)
		if err == nil {
			c.Close()
			t.Errorf("%q is taken", address)
		}
	}
}
