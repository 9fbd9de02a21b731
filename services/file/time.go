package file

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrTime refuses what is not a time.
var ErrTime = errors.New("not a time: write 2026-01-31T15:04:05Z (or the day alone), seconds since 1970, or how long ago, as in -10m, -2h30m or -3d")

// timeLayouts are the forms of a time, those without a zone in UTC.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly}

// ParseTime reads a moment of the past, as /.at and restore take it:
//
//	2026-01-31T15:04:05Z    RFC 3339; without zone it is UTC
//	2026-01-31              when that day began
//	1769871845              seconds since 1970
//	-10m  -2h30m  -3d       so long before now; s, m, h and d (24 hours)
func ParseTime(text string, now time.Time) (time.Time, error) {
	if ago, ok := strings.CutPrefix(text, "-"); ok {
		return parseAgo(ago, now)
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 && n < 1<<40 {
		return time.Unix(n, 0), nil
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q: %w", text, ErrTime)
}

func parseAgo(text string, now time.Time) (time.Time, error) {
	d := time.Duration(0)
	rest := text
	if days, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return time.Time{}, fmt.Errorf("%q: %w", "-"+text, ErrTime)
		}
		d, rest = time.Duration(n)*24*time.Hour, after
	}
	if rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil || more < 0 {
			return time.Time{}, fmt.Errorf("%q: %w", "-"+text, ErrTime)
		}
		d += more
	} else if text == "" {
		return time.Time{}, fmt.Errorf("%q: %w", "-", ErrTime)
	}
	return now.Add(-d), nil
}
