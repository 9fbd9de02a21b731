package system

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var (
	dateCommand = &command.Command{
		Name: "date", Usage: "[-u] [-d time] [-I | -R | +format]", Summary: "print the date and time", Run: date, Checks: true,
	}
	uptimeCommand = &command.Command{
		Name: "uptime", Usage: "[-s]", Summary: "print how long the system has been up", Run: uptime, Checks: true,
	}
	sleepCommand = &command.Command{
		Name: "sleep", Usage: "time...", Summary: "wait for seconds, or 100ms, 5m, 2h", Run: sleep, Checks: true,
	}
)

func date(_ context.Context, c *command.Call) error {
	o := c.Options()
	utc := o.Flag("u,utc", "in universal time")
	iso := o.Flag("I,iso-8601", "as 2006-01-02T15:04:05+01:00")
	mail := o.Flag("R,rfc-email", "as Mon, 02 Jan 2006 15:04:05 +0100")
	given := o.String("d,date", "TIME", "", "that time, not now: RFC 3339 or @seconds since 1970")
	args, err := o.Parse(0, 1)
	if err != nil {
		return err
	}
	now := time.Now()
	if *given != "" {
		if now, err = parseTime(*given); err != nil {
			return err
		}
	}
	if *utc {
		now = now.UTC()
	}
	text := now.Format("Mon Jan _2 15:04:05 MST 2006")
	switch {
	case *iso:
		text = now.Format(time.RFC3339)
	case *mail:
		text = now.Format(time.RFC1123Z)
	case len(args) == 1:
		format, ok := strings.CutPrefix(args[0], "+")
		if !ok {
			return command.Usagef("%q: a format begins with +, and the clock cannot be set from here", args[0])
		}
		if text, err = strftime(now, format); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(c.Out, text)
	return err
}

func parseTime(text string) (time.Time, error) {
	if seconds, ok := strings.CutPrefix(text, "@"); ok {
		n, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil {
			return time.Time{}, command.Usagef("%q is not a number of seconds", seconds)
		}
		return time.Unix(n, 0), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, command.Usagef("%q is not a time such as 2006-01-02T15:04:05Z or @1136214245", text)
}

// directives are those of strftime(3) that are in use, as Go layouts.
var directives = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'h': "Jan", 'd': "02", 'e': "_2", 'H': "15",
	'I': "03", 'm': "01", 'M': "04", 'p': "PM", 'S': "05", 'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST",
	'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04", 'D': "01/02/06", 'j': "002", 'c': "Mon Jan _2 15:04:05 2006",
}

func strftime(t time.Time, format string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out.WriteByte(format[i])
			continue
		}
		i++
		switch layout, ok := directives[format[i]]; {
		case ok:
			out.WriteString(t.Format(layout))
		case format[i] == 's':
			out.WriteString(strconv.FormatInt(t.Unix(), 10))
		case format[i] == 'N':
			fmt.Fprintf(&out, "%09d", t.Nanosecond())
		case format[i] == 'u':
			out.WriteString(strconv.Itoa((int(t.Weekday())+6)%7 + 1))
		case format[i] == 'n':
			out.WriteByte('\n')
		case format[i] == '%':
			out.WriteByte('%')
		default:
			return "", command.Usagef("the format knows no %%%c", format[i])
		}
	}
	return out.String(), nil
}

// Uptime reads /proc/uptime.
func Uptime() (time.Duration, error) {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), " ")
	seconds, err := strconv.ParseFloat(strings.TrimSpace(first), 64)
	if err != nil || seconds < 0 || seconds > 1e9 {
		return 0, fmt.Errorf("/proc/uptime: %q is not a number of seconds", first)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

func uptime(_ context.Context, c *command.Call) error {
	o := c.Options()
	since := o.Flag("s,since", "print when the system came up")
	if _, err := o.Parse(0, 0); err != nil {
		return err
	}
	up, err := Uptime()
	if err != nil {
		return err
	}
	now := time.Now()
	if *since {
		_, err = fmt.Fprintln(c.Out, now.Add(-up).Format("2006-01-02 15:04:05"))
		return err
	}
	_, err = fmt.Fprintf(c.Out, "%s up %s\n", now.Format("15:04:05"), Days(up))
	return err
}

// Days shows a duration as "0.41 s", "12 s" or "3 days 04:05:06".
func Days(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	s := int64(d / time.Second)
	if s < 60 {
		return fmt.Sprintf("%d s", s)
	}
	clock := fmt.Sprintf("%02d:%02d:%02d", s/3600%24, s/60%60, s%60)
	switch days := s / 86400; days {
	case 0:
		return clock
	case 1:
		return "1 day " + clock
	default:
		return fmt.Sprintf("%d days %s", days, clock)
	}
}

func sleep(ctx context.Context, c *command.Call) error {
	args, err := c.Options().Parse(1, -1)
	if err != nil {
		return err
	}
	var total time.Duration
	for _, a := range args {
		d, err := parseDuration(a)
		if err != nil {
			return err
		}
		total += d
	}
	timer := time.NewTimer(total)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// parseDuration reads seconds, or a Go duration, or days.
func parseDuration(text string) (time.Duration, error) {
	unit := time.Second
	if days, ok := strings.CutSuffix(text, "d"); ok {
		text, unit = days, 24*time.Hour
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil && n >= 0 && n*float64(unit) < 1<<62 {
		return time.Duration(n * float64(unit)), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 && unit == time.Second {
		return d, nil
	}
	return 0, command.Usagef("%q is not a time such as 2, 0.5, 100ms, 5m or 2h", text)
}
