package system

import (
	"strings"
	"testing"
	"time"
)

func TestMemory(t *testing.T) {
	m, err := parseMemory(strings.NewReader("MemTotal:       16384 kB\nMemFree: 100 kB\nHugePages_Total:   3\nodd line\n"))
	if err != nil || m["MemTotal"] != 16<<20 || m["MemFree"] != 100<<10 || len(m) != 2 {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := parseMemory(strings.NewReader("MemTotal: 99999999999999999999 kB\n")); err == nil {
		t.Error("a number too large is accepted")
	}
}

func FuzzMemory(f *testing.F) {
	f.Add("MemTotal:       16384 kB\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseMemory(strings.NewReader(text))
		if err == nil {
			for name, n := range m {
				if n%1024 != 0 {
					t.Errorf("%s: %d bytes are no KiB", name, n)
				}
			}
		}
	})
}

func TestThread(t *testing.T) {
	line := "12 (a (b) c) S 1 12 12 0 -1 4194560 1 2 3 4 150 250 0 0 20 0 1 0 100\n"
	got, ok := parseThread(line)
	if want := (thread{"a (b) c", "S", 1.5, 2.5}); !ok || got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, bad := range []string{"", "12 (x", ")(", "12 (x) S 1", "12 (x) S 1 2 3 4 5 6 7 8 9 10 a b c"} {
		if _, ok := parseThread(bad); ok {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func FuzzThread(f *testing.F) {
	f.Add("12 (a (b) c) S 1 12 12 0 -1 4194560 1 2 3 4 150 250 0 0 20 0 1 0 100\n")
	f.Fuzz(func(t *testing.T, line string) { parseThread(line) })
}

func TestTimes(t *testing.T) {
	at := time.Date(2026, 1, 4, 7, 8, 9, 10, time.UTC)
	for format, want := range map[string]string{
		"%Y-%m-%d %H:%M:%S": "2026-01-04 07:08:09", "%j %u %s%%": "004 7 1767510489%", "%e|%N": " 4|000000010", "100%": "100%",
	} {
		if got, err := strftime(at, format); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", format, got, err, want)
		}
	}
	if _, err := strftime(at, "%Q"); err == nil {
		t.Error("%Q is accepted")
	}
	for text, want := range map[string]time.Duration{"2": 2 * time.Second, "0.5": time.Second / 2, "100ms": 100 * time.Millisecond, "1d": 24 * time.Hour} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "-1", "1e300", "x", "1hd", "NaN", "Inf"} {
		if got, err := parseDuration(bad); err == nil {
			t.Errorf("%q is taken for %v", bad, got)
		}
	}
	for d, want := range map[time.Duration]string{
		410 * time.Millisecond: "0.41 s", 12 * time.Second: "12 s", time.Hour + 62*time.Second: "01:01:02", 76 * time.Hour: "3 days 04:00:00",
	} {
		if got := Days(d); got != want {
			t.Errorf("%v is shown as %q, want %q", d, got, want)
		}
	}
}

func FuzzDuration(f *testing.F) {
	f.Add("1.5h")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseDuration(text); err == nil && d < 0 {
			t.Errorf("%q is %v", text, d)
		}
	})
}
