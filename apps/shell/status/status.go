package status

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/tuplix/tuplix/apps/shell/command/files"
	"github.com/tuplix/tuplix/apps/shell/command/system"
)

// head is the page up to its title, twice.
const head = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>%[1]s</title>
<style>
body { font: 16px/1.5 sans-serif; max-width: 36em; margin: 3em auto; padding: 0 1em; }
th { text-align: left; font-weight: normal; color: #666; padding-right: 2em; }
</style>
</head>
<body>
<h1>%[1]s</h1>
<table>
`

// write prints the page. It does without html/template, which would keep every
// exported method of the whole image from being left out by the linker.
func write(w io.Writer, host string, list []fact) {
	fmt.Fprintf(w, head, html.EscapeString(host))
	for _, f := range list {
		fmt.Fprintf(w, "<tr><th>%s</th><td>%s</td></tr>\n", html.EscapeString(f.Name), html.EscapeString(f.Value))
	}
	fmt.Fprint(w, "</table>\n</body>\n</html>\n")
}

// fact is one line of the page.
type fact struct{ Name, Value string }

// Version returns the version of the program, as the Go toolchain recorded it:
// a module version, or a revision of the source, or "unknown".
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (version == "" || version == "(devel)") {
			version = s.Value
		}
	}
	if version == "" {
		return "unknown"
	}
	return version
}

// facts gathers what the system tells.
func facts() []fact {
	list := []fact{{"version", Version()}, {"toolchain", runtime.Version()}}
	if up, err := system.Uptime(); err == nil {
		list = append(list, fact{"up", system.Days(up)})
	}
	if m, err := system.ReadMemory(); err == nil {
		if free, ok := m["MemAvailable"]; ok {
			list = append(list, fact{"memory", files.Human(free) + " of " + files.Human(m["MemTotal"]) + " available"})
		} else if free, ok := m["MemFree"]; ok {
			list = append(list, fact{"memory", files.Human(free) + " of " + files.Human(m["MemTotal"]) + " free"})
		}
	}
	return append(list, fact{"time", time.Now().UTC().Format(time.RFC3339)})
}

// Handler returns the page.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", serve)
	return mux
}

func serve(w http.ResponseWriter, _ *http.Request) {
	host, err := os.Hostname()
	if err != nil {
		host = "Tuplix"
	}
	var text bytes.Buffer
	write(&text, host, facts())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(text.Bytes()) // an error means that the client went away
}

// Serve serves the page on a listener until that is closed.
func Serve(l net.Listener) error {
	server := &http.Server{
		Handler:           Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	return server.Serve(l)
}
