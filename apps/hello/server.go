package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// maxFile bounds what PUT /file stores, in bytes.
const maxFile = 1 << 20

// payload is what GET /payload answers: 1 KB.
var payload = []byte(strings.Repeat("0123456789abcde\n", 64))

type server struct {
	dir string

	mu    sync.Mutex // held while the count changes and is stored
	count int
}

// newServer reads the count of an earlier run, if there was one.
func newServer(dir string) (*server, error) {
	s := &server{dir: dir}
	text, err := os.ReadFile(s.path("greetings"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	s.count, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return s, err
}

func (s *server) path(name string) string { return filepath.Join(s.dir, name) }

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.greet)
	mux.HandleFunc("GET /payload", sendPayload)
	mux.HandleFunc("GET /file", s.readFile)
	mux.HandleFunc("PUT /file", s.writeFile)
	mux.HandleFunc("GET /env", sendEnv)
	return mux
}

func (s *server) greet(w http.ResponseWriter, _ *http.Request) {
	n, err := s.next()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "Hello! This is greeting number %d.\n", n)
}

// next counts one greeting and stores the count.
func (s *server) next() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := replace(s.path("greetings"), []byte(strconv.Itoa(s.count+1)+"\n")); err != nil {
		return 0, err
	}
	s.count++
	return s.count, nil
}

// replace writes a file so that a crash leaves the old contents or the new.
func replace(path string, data []byte) error {
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the rename of a file in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func sendPayload(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	// An error here means that the client has gone.
	_, _ = w.Write(payload)
}

func (s *server) readFile(w http.ResponseWriter, r *http.Request) {
	http.ServeFile(w, r, s.path("file"))
}

func (s *server) writeFile(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFile))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := replace(s.path("file"), data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "stored %d bytes\n", len(data))
}

func sendEnv(w http.ResponseWriter, _ *http.Request) {
	for _, a := range flag.Args() {
		fmt.Fprintf(w, "argument %s\n", a)
	}
	for _, e := range os.Environ() {
		fmt.Fprintln(w, e)
	}
}
