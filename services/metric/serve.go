package metric

import (
	"net"
	"net/http"
	"time"

	"github.com/tuplix/tuplix/services/internal/listen"
)

// Listen is where the figures are served.
var Listen = listen.Address("metric.listen", "Where the present figures are served to Prometheus, to everybody who asks: http://ADDRESS:PORT/metrics.")

// headerTime bounds how long a client may take to ask.
const headerTime = 10 * time.Second

// serve serves the figures, and nothing else.
func (s *Service) serve(l net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.Handler())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/metrics", http.StatusFound)
	})
	server := http.Server{Handler: mux, ReadHeaderTimeout: headerTime, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	return server.Serve(l)
}

// Addr returns the address at which the figures are served, nil for nowhere.
func (s *Service) Addr() net.Addr { return s.server.Addr() }
