package services

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/system"
	"github.com/tuplix/tuplix/services/trace"
)

func spans(open Open) *command.Command {
	return open.verb("span", "[-n count] [--since time] [--json] [trace]", "list spans, what was done within what, or those of one trace",
		func(c *command.Call) (job, error) {
			o := c.Options()
			limit := o.Int("n,limit", "N", 50, 0, "only the last, 50 if not told; 0: all")
			since := o.String("since", "TIME", "", "from this time on: "+pastHelp)
			json := o.Flag("json", jsonHelp)
			args, err := o.Parse(0, 1)
			if err != nil {
				return nil, err
			}
			var from time.Time
			if *since != "" {
				from, err = pastTime("--since", *since)
			}
			var id [16]byte
			if len(args) == 1 {
				if n, bad := hex.Decode(id[:], []byte(args[0])); bad != nil || n != 16 || len(args[0]) != 32 {
					return nil, command.Usagef("%q is not a trace, which has 32 hexadecimal digits", args[0])
				}
			}
			return func(ctx context.Context, s *system.System) error {
				return listSpans(ctx, c, s, id, from, *limit, *json)
			}, err
		})
}

func listSpans(ctx context.Context, c *command.Call, s *system.System, id [16]byte, from time.Time, limit int, json bool) error {
	var found []trace.Row
	err := s.Store.View(ctx, func(tx *table.Tx) error {
		if err := mayRead(ctx, tx, trace.Spans.Name()); err != nil {
			return err
		}
		rows := trace.ByStart.Scan(tx, table.From(from).Reverse().Limit(limit))
		if id != [16]byte{} {
			rows = trace.Spans.Scan(tx, table.Prefix(id).Limit(limit))
		}
		for r, err := range rows {
			if err != nil {
				return err
			}
			found = append(found, r)
		}
		return nil
	})
	list := c.List(json, "start", "took", "name", "error", "attrs", "user", "task", "trace", "span", "parent")
	for i := len(found) - 1; i >= 0 && err == nil; i-- {
		r := &found[i]
		var parent any
		if r.Parent != 0 {
			parent = fmt.Sprintf("%016x", uint64(r.Parent))
		}
		err = list.Row(r.Start, r.End.Sub(r.Start), r.Name, r.Error, r.Attrs, r.User, r.Task,
			hex.EncodeToString(r.Trace[:]), fmt.Sprintf("%016x", uint64(r.Span)), parent)
	}
	return errors.Join(err, list.End())
}
