package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/apps/shell/console"
)

// readyLine tells in one line that the machine is ready, how long that took
// since it was switched on, and the addresses to try. forwards lists ports of
// the host and the ports here that they lead to, "8080:80,2222:22".
func readyLine(up time.Duration, known bool, forwards string, login bool) string {
	var line strings.Builder
	line.WriteString("Tuplix ready")
	if known {
		fmt.Fprintf(&line, " in %.2f s", up.Seconds())
	}
	if login {
		line.WriteString(": log in on this console")
	} else {
		line.WriteString(": shell on this console")
	}
	for forward := range strings.SplitSeq(forwards, ",") {
		if address := forwarded(forward); address != "" {
			line.WriteString(", " + address)
		}
	}
	return line.String()
}

// forwarded returns how to try one forwarded port from the host, "" if the
// text is not of the form "host port:port here".
func forwarded(text string) string {
	host, guest, ok := strings.Cut(strings.TrimSpace(text), ":")
	if _, err := strconv.ParseUint(host, 10, 16); err != nil || !ok {
		return ""
	}
	switch guest {
	case "22":
		return fmt.Sprintf("ssh -p %s root@localhost (host port %s)", host, host)
	case "80":
		return fmt.Sprintf("http://localhost:%s/ (host port %s)", host, host)
	case "443":
		return fmt.Sprintf("https://localhost:%s/ (host port %s)", host, host)
	}
	return fmt.Sprintf("localhost:%s (host port %s to port %s)", host, host, guest)
}

// historyCommand makes the command that shows the history of this shell.
func historyCommand(h *console.History) *command.Command {
	return &command.Command{
		Name: "history", Usage: "[count]", Summary: "print the lines typed before",
		Run: func(_ context.Context, c *command.Call) error {
			args, err := c.Options().Parse(0, 1)
			if err != nil {
				return err
			}
			most := console.HistoryLimit
			if len(args) == 1 {
				if most, err = strconv.Atoi(args[0]); err != nil || most < 1 {
					return command.Usagef("%q is not a number of lines", args[0])
				}
			}
			if err := h.Print(c.Out, most); err != nil {
				return err
			}
			if err := h.Err(); err != nil {
				return fmt.Errorf("new lines are not kept: %w", err)
			}
			return nil
		},
	}
}
