package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		in   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 3}, 2.5}} {
		if got := median(test.in); got != test.want {
			t.Errorf("median of %v is %v", test.in, got)
		}
	}
}

func TestEvaluate(t *testing.T) {
	for _, test := range []struct {
		better     string
		ours, peer []float64
		ratio      float64
		holds      bool
	}{
		{lower, []float64{1}, []float64{2}, 0.5, true},
		{lower, []float64{3}, []float64{2}, 1.5, false},
		{higher, []float64{3}, []float64{2}, 1.5, true},
		{higher, []float64{1}, []float64{2}, 0.5, false},
		{lower, nil, []float64{2}, 0, false},
	} {
		f := spec{"x", "s", test.better, 1}.evaluate(&samples{ours: test.ours, peer: test.peer, err: errors.New("why")})
		if f.Ratio != test.ratio || f.Holds != test.holds || f.Note != "why" {
			t.Errorf("%+v gives %+v", test, f)
		}
	}
}

// A figure for the record has no bound to be behind.
func TestVerdict(t *testing.T) {
	measured := &samples{ours: []float64{3}, peer: []float64{2}}
	for _, test := range []struct {
		spec spec
		v    *samples
		want string
	}{
		{spec{"x", "s", lower, record}, measured, "\tfor the record"},
		{spec{"x", "s", lower, record}, &samples{}, "\tnot measured"},
		{spec{"x", "s", lower, 1}, measured, "<= 1.00\tBEHIND"},
		{spec{"x", "s", higher, 1}, measured, ">= 1.00\tholds"},
	} {
		f := test.spec.evaluate(test.v)
		if got := f.verdict(); got != test.want {
			t.Errorf("%+v: %q, want %q", test.spec, got, test.want)
		}
	}
}

// A run in which a figure is behind, or could not be measured, fails.
func TestJudge(t *testing.T) {
	holds, behind := figure{Name: "a", Holds: true}, figure{Name: "b"}
	if err := judge([]figure{holds, holds}); err != nil {
		t.Error(err)
	}
	if err := judge([]figure{holds, behind}); err == nil || !strings.Contains(err.Error(), "1 of 2 figures") || !strings.HasSuffix(err.Error(), ": b") {
		t.Error(err)
	}
}

func TestItem(t *testing.T) {
	want := makeItem(7)
	var got item
	if err := got.decode(rawKey(nil, 7), want.encode(nil)); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if err := got.decode(rawKey(nil, 7), want.encode(nil)[:17]); err == nil {
		t.Error("a row that was cut off is accepted")
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[uint64]string{7: "7", 1000: "1,000", 123456: "123,456", 10_000_000: "10,000,000"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %q", n, got)
		}
	}
}

// Figures of parts that were not measured this time stay in the file.
func TestWriteJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dir", "bench.json")
	if err := writeJSON(path, []figure{{Name: "a", Ours: 1}, {Name: "b", Ours: 1}}); err != nil {
		t.Fatal(err)
	}
	if err := writeJSON(path, []figure{{Name: "b", Ours: 2}, {Name: "c", Ours: 2}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []figure
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 || all[0].Ours != 1 || all[1].Ours != 2 || all[2].Name != "c" {
		t.Errorf("got %+v", all)
	}
}

func TestTimeOfProcess(t *testing.T) {
	const stat = "711 (qemu) (x) R 1 2 3 4 5 6 7 8 9 10 257 31 14 15 20 0 4"
	if got, err := parseTime(stat); err != nil || got != 2.88 {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "711 (qemu) R 1 2", "711 (qemu) R 1 2 3 4 5 6 7 8 9 10 x 31 14"} {
		if got, err := parseTime(bad); err == nil {
			t.Errorf("%q is taken for %v", bad, got)
		}
	}
	if got, err := timeOfProcess(os.Getpid()); err != nil || got < 0 {
		t.Errorf("of this process: %v, %v", got, err)
	}
}

// Each round's figures are in the log, in the order of the table.
func TestShow(t *testing.T) {
	e := experiment{figures: []spec{{"boot", "s", lower, 1}, {"memory", "MiB", lower, 1}, {"other", "s", lower, 1}}}
	var log strings.Builder
	e.show(&log, "Linux", map[string]float64{"memory": 271.25, "boot": 3.2})
	if got, want := log.String(), "  boot, Linux: 3.2 s\n  memory, Linux: 271.2 MiB\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParseResults(t *testing.T) {
	got := parseResults("noise\r\nresult now 12.5\r\nresult hash x\nresult a b c\n")
	if len(got) != 1 || got["now"] != 12.5 {
		t.Errorf("got %v", got)
	}
}

func TestCPIO(t *testing.T) {
	var buf bytes.Buffer
	c := &cpioWriter{out: &buf}
	c.dir("dev")
	c.file("init", []byte("hello"))
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	rest := buf.Bytes()
	var names []string
	for len(rest) > 0 {
		field := func(i int) int {
			n, err := strconv.ParseUint(string(rest[6+8*i:14+8*i]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		size, nameSize := field(6), field(11)
		body := (110 + nameSize + 3) &^ 3
		names = append(names, string(rest[110:110+nameSize-1])+"="+string(rest[body:body+size]))
		rest = rest[(body+size+3)&^3:]
	}
	if got := strings.Join(names, " "); got != "dev= init=hello TRAILER!!!=" {
		t.Errorf("got %q", got)
	}
}

func TestReadAnswer(t *testing.T) {
	body := strings.Repeat("x", 1024)
	good := "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 1024\r\n\r\n" + body
	in := bufio.NewReader(strings.NewReader(good + good))
	for range 2 {
		if err := readAnswer(in); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "HTTP/1.1 500 No\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", good[:100]} {
		if err := readAnswer(bufio.NewReader(strings.NewReader(bad))); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// The load generator counts what a server on this host answers.
func TestRequestRate(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("x"), 1024)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(body)
	})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	load, err := newLoad(l.Addr().(*net.TCPAddr).Port, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer load.close()
	for range 2 {
		if err := load.turn(t.Context(), 50*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if load.answers == 0 || load.took < 100*time.Millisecond || load.rate() <= 0 {
		t.Errorf("%d answers in %v", load.answers, load.took)
	}
}
