package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// figure is one line of the result.
type figure struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Ours   float64 `json:"ours"`           // median; 0 if it could not be measured
	Peer   float64 `json:"peer"`           // likewise
	Than   string  `json:"than"`           // who the peer is
	Ratio  float64 `json:"ratio"`          // ours / peer
	Bound  float64 `json:"bound"`          // what the ratio must not pass; 0: there is none
	Better string  `json:"better"`         // "lower": the ratio must be at most the bound; "higher": at least
	Holds  bool    `json:"holds"`          // also without a bound, if it could be measured
	Note   string  `json:"note,omitempty"` // why there is no value
}

// Directions of figures.
const (
	lower  = "lower"
	higher = "higher"
)

// record is the bound of figures that are for the record: it always holds.
const record = 0

// spec names a figure before it is measured.
type spec struct {
	name, unit, better string
	bound              float64
}

// samples are the values of one figure for the two systems.
type samples struct {
	ours, peer []float64
	err        error // the last failure of either
}

// evaluate compares the medians.
func (s spec) evaluate(v *samples) figure {
	f := figure{Name: s.name, Unit: s.unit, Bound: s.bound, Better: s.better}
	f.Ours, f.Peer = median(v.ours), median(v.peer)
	if v.err != nil {
		f.Note = v.err.Error()
	}
	if f.Ours == 0 || f.Peer == 0 {
		return f
	}
	f.Ratio = f.Ours / f.Peer
	switch {
	case s.bound == record:
		f.Holds = true
	case s.better == lower:
		f.Holds = f.Ratio <= s.bound
	default:
		f.Holds = f.Ratio >= s.bound
	}
	return f
}

// median returns the middle value, or 0 of none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	mid := len(s) / 2
	if len(s)%2 == 1 {
		return s[mid]
	}
	return (s[mid-1] + s[mid]) / 2
}

// printTable writes the figures for people.
func printTable(w io.Writer, figures []figure) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "figure\tunit\tTuplix\tpeer\t\tratio\tbound\t")
	for _, f := range figures {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Name, f.Unit, number(f.Ours), number(f.Peer), f.Than, number(f.Ratio), f.verdict())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	last := ""
	for _, f := range figures {
		if f.Note != "" && f.Note != last {
			fmt.Fprintf(w, "\n%s: %s\n", f.Name, f.Note)
		}
		last = f.Note // one failure may be that of several figures
	}
	return nil
}

// verdict is the bound and whether it holds.
func (f *figure) verdict() string {
	if f.Bound == record {
		return "\t" + map[bool]string{true: "for the record", false: "not measured"}[f.Holds]
	}
	sign, verdict := "<=", "holds"
	if f.Better == higher {
		sign = ">="
	}
	if !f.Holds {
		verdict = "BEHIND"
	}
	return fmt.Sprintf("%s %.2f\t%s", sign, f.Bound, verdict)
}

// judge is an error where a figure is behind its bound or could not be measured.
func judge(figures []figure) error {
	var failed []string
	for i := range figures {
		if !figures[i].Holds {
			failed = append(failed, figures[i].Name)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d figures are behind their bounds or were not measured: %s", len(failed), len(figures), strings.Join(failed, "; "))
}

// number formats a value with three significant digits; 0 stands for none.
func number(v float64) string {
	switch {
	case v == 0:
		return "-"
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// writeJSON merges the figures into the file: parts that were not measured
// this time keep their figures.
func writeJSON(path string, figures []figure) error {
	var all []figure
	if old, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(old, &all); err != nil {
			return fmt.Errorf("%s: %w (remove it to start anew)", path, err)
		}
	}
	for _, f := range figures {
		at := slices.IndexFunc(all, func(o figure) bool { return o.Name == f.Name })
		if at < 0 {
			all = append(all, f)
		} else {
			all[at] = f
		}
	}
	text, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
