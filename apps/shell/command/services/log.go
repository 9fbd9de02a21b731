package services

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/services/log"
	"github.com/tuplix/tuplix/services/system"
)

func logs(open Open) *command.Command {
	return open.verb("log", "[-f] [-n count] [-l level] [--since time] [-t task] [-p program] [--json]",
		"print what programs and the kernel have said", func(c *command.Call) (job, error) {
			o := c.Options()
			follow := o.Flag("f,follow", "go on with what is said from now on, until Ctrl-C")
			last := o.Int("n,lines", "N", 100, 0, "only the last lines, 100 if not told; 0: all")
			level := o.String("l,level", "LEVEL", "info", "debug, info, warn or error, and what is worse")
			since := o.String("since", "TIME", "", "from this time on: "+pastHelp)
			until := o.String("until", "TIME", "", "up to this time")
			task := o.String("t,task", "NUMBER", "", "only what a task said")
			program := o.String("p,program", "NAME", "", "only what a program said")
			asJSON := o.Flag("json", jsonHelp)
			_, err := o.Parse(0, 0)
			q := log.Query{Last: *last, Task: *task, Program: *program, Follow: *follow}
			if err == nil && q.Least.UnmarshalText([]byte(*level)) != nil {
				err = command.Usagef("--level: %q is not one of debug, info, warn and error", *level)
			}
			if err == nil && *since != "" {
				q.From, err = pastTime("--since", *since)
			}
			if err == nil && *until != "" {
				q.To, err = pastTime("--until", *until)
			}
			return func(ctx context.Context, s *system.System) error { return printLog(ctx, c, s, q, *asJSON) }, err
		})
}

func printLog(ctx context.Context, c *command.Call, s *system.System, q log.Query, asJSON bool) error {
	for l, err := range s.Log.Read(ctx, q) {
		if err == nil && asJSON {
			err = jsonLog(c, &l)
		} else if err == nil {
			_, err = fmt.Fprintln(c.Out, logText(&l))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var logColumns = []string{"at", "level", "message", "attrs", "source", "user", "program", "task", "version", "trace", "span"}

func jsonLog(c *command.Call, l *log.Line) error {
	var trace, span any
	if l.Trace.Valid {
		trace, span = hex.EncodeToString(l.Trace.V[:]), fmt.Sprintf("%016x", uint64(l.Span.V))
	}
	return command.JSONLine(c.Out, logColumns, []any{l.At, slog.Level(l.Level), l.Message, l.Attrs, l.Source, l.User, l.Program, l.Task,
		hex.EncodeToString(l.Version), trace, span})
}

// logText is a line for people: "15:04:05.000 WARN  disk is slow  ms=31".
func logText(l *log.Line) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-5s %s", l.At.Local().Format("2006-01-02 15:04:05.000"), slog.Level(l.Level), command.Shown(l.Message))
	b.WriteString(attributes(l.Attrs))
	if l.Task != "" {
		fmt.Fprintf(&b, " task=%s", command.Shown(l.Task))
	}
	if l.Source == "kernel" {
		b.WriteString(" (kernel)")
	}
	return b.String()
}

// attributes shows an object as name=value, in the order of names.
func attributes(text json.RawMessage) string {
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		return " " + command.Shown(string(text)) // as it is
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(object)) {
		value := fmt.Sprint(object[name])
		if inner, ok := object[name].(map[string]any); ok {
			if encoded, err := json.Marshal(inner); err == nil {
				value = string(encoded)
			}
		}
		if strings.ContainsAny(value, " \"") {
			value = fmt.Sprintf("%q", value)
		}
		fmt.Fprintf(&b, " %s=%s", command.Shown(name), command.Shown(value))
	}
	return b.String()
}
