package trace

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	sendTimeout = 5 * time.Second
	maxUnsent   = 16 // batches that wait for the collector
)

// exporter sends spans to a collector, beside the rows: it waits for nobody's answer
// but on its own goroutine.
type exporter struct {
	s       *Service
	batches chan []Row
	ended   chan struct{}
	closing atomic.Bool
	failing bool // the last batch could not be sent; run's own
}

func newExporter(s *Service) *exporter {
	e := &exporter{s: s, batches: make(chan []Row, maxUnsent), ended: make(chan struct{})}
	go e.run()
	return e
}

// send hands a batch over. One for which there is no room is not sent.
func (e *exporter) send(rows []Row) {
	if OTLP.In(e.s.config) == "" {
		return
	}
	select {
	case e.batches <- rows:
	default:
		e.s.o.Failed(fmt.Errorf("trace: %d spans are not sent, as the collector is too slow", len(rows)))
	}
}

// close sends what waits. After a failure it gives up the rest.
func (e *exporter) close() {
	e.closing.Store(true)
	close(e.batches)
	<-e.ended
}

func (e *exporter) run() {
	defer close(e.ended)
	for rows := range e.batches {
		url := OTLP.In(e.s.config)
		if url == "" || e.failing && e.closing.Load() {
			continue
		}
		err := post(url, rows)
		if err != nil && !e.failing { // those after it would say the same
			e.s.o.Failed(fmt.Errorf("trace: %d spans, and perhaps more, are not sent: %w", len(rows), err))
		}
		e.failing = err != nil
	}
}

// post sends spans by OTLP over HTTP, as JSON. There is no second attempt.
func post(url string, rows []Row) error {
	text, err := encode(rows)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	q.Header.Set("Content-Type", "application/json")
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode/100 != 2 {
		said, _ := io.ReadAll(io.LimitReader(r.Body, 200)) // what there is of it
		return fmt.Errorf("%s says %s: %s", url, r.Status, said)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20)) // so that the connection is used again
	return err
}

// What follows is ExportTraceServiceRequest of opentelemetry/proto/collector/trace/v1,
// in the JSON form of the OTLP specification: ids are hexadecimal, numbers of 64 bits
// are text.
type (
	request struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   resource     `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	resource struct {
		Attributes []attribute `json:"attributes"`
	}
	scopeSpans struct {
		Scope struct {
			Name string `json:"name"`
		} `json:"scope"`
		Spans []span `json:"spans"`
	}
	span struct {
		TraceID    string      `json:"traceId"`
		SpanID     string      `json:"spanId"`
		ParentID   string      `json:"parentSpanId,omitempty"`
		Name       string      `json:"name"`
		Kind       int         `json:"kind"`
		Start      string      `json:"startTimeUnixNano"`
		End        string      `json:"endTimeUnixNano"`
		Attributes []attribute `json:"attributes,omitempty"`
		Status     status      `json:"status"`
	}
	status struct {
		Code    int    `json:"code,omitempty"`
		Message string `json:"message,omitempty"`
	}
	attribute struct {
		Key   string         `json:"key"`
		Value map[string]any `json:"value"`
	}
)

const (
	kindInternal = 1
	statusError  = 2
)

// encode writes spans down, those of each program as a service of its own.
func encode(rows []Row) ([]byte, error) {
	services := map[string]*resourceSpans{}
	for i := range rows {
		row := &rows[i]
		name := row.Program
		if name == "" {
			name = "tuplix"
		}
		of := services[name]
		if of == nil {
			of = &resourceSpans{Resource: resource{[]attribute{{"service.name", text(name)}}}, ScopeSpans: make([]scopeSpans, 1)}
			of.ScopeSpans[0].Scope.Name = "tuplix"
			services[name] = of
		}
		x, err := row.export()
		if err != nil {
			return nil, err
		}
		of.ScopeSpans[0].Spans = append(of.ScopeSpans[0].Spans, x)
	}
	var q request
	for _, name := range slices.Sorted(maps.Keys(services)) {
		q.ResourceSpans = append(q.ResourceSpans, *services[name])
	}
	return json.Marshal(q)
}

func (r *Row) export() (span, error) {
	x := span{
		TraceID: hex.EncodeToString(r.Trace[:]), SpanID: fmt.Sprintf("%016x", uint64(r.Span)), Name: r.Name, Kind: kindInternal,
		Start: strconv.FormatInt(r.Start.UnixNano(), 10), End: strconv.FormatInt(r.End.UnixNano(), 10),
	}
	if r.Parent != 0 {
		x.ParentID = fmt.Sprintf("%016x", uint64(r.Parent))
	}
	if r.Error != "" {
		x.Status = status{statusError, r.Error}
	}
	var attrs map[string]any
	d := json.NewDecoder(bytes.NewReader(r.Attrs))
	d.UseNumber() // a number of 64 bits is exact
	if err := d.Decode(&attrs); err != nil {
		return x, fmt.Errorf("the attributes of span %q: %w", r.Name, err)
	}
	for _, key := range slices.Sorted(maps.Keys(attrs)) {
		x.Attributes = append(x.Attributes, attribute{key, value(attrs[key])})
	}
	for key, of := range map[string]string{"enduser.id": r.User, "tuplix.task": r.Task} {
		if of != "" && attrs[key] == nil {
			x.Attributes = append(x.Attributes, attribute{key, text(of)})
		}
	}
	slices.SortFunc(x.Attributes, func(a, b attribute) int { return cmp.Compare(a.Key, b.Key) })
	return x, nil
}

func text(s string) map[string]any { return map[string]any{"stringValue": s} }

// value is an AnyValue. Spans have no other kinds of attributes.
func value(v any) map[string]any {
	switch v := v.(type) {
	case bool:
		return map[string]any{"boolValue": v}
	case json.Number:
		if _, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return map[string]any{"intValue": v.String()}
		}
		return map[string]any{"doubleValue": v}
	}
	return text(fmt.Sprint(v))
}
