package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func do(t *testing.T, method, url, body string) string {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func start(t *testing.T, dir string) string {
	t.Helper()
	s, err := newServer(dir)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s.routes())
	t.Cleanup(web.Close)
	return web.URL
}

// The count goes on where an earlier run stopped.
func TestGreetings(t *testing.T) {
	dir := t.TempDir()
	url := start(t, dir)
	do(t, "GET", url+"/", "")
	do(t, "GET", url+"/", "")
	if got := do(t, "GET", start(t, dir)+"/", ""); got != "Hello! This is greeting number 3.\n" {
		t.Errorf("got %q", got)
	}
}

func TestDamagedCount(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/greetings", []byte("many"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newServer(dir); err == nil {
		t.Error("a damaged count is accepted")
	}
}

func TestFile(t *testing.T) {
	url := start(t, t.TempDir())
	if got := do(t, "GET", url+"/file", ""); !strings.Contains(got, "not found") {
		t.Errorf("got %q", got)
	}
	if got := do(t, "PUT", url+"/file", "some text"); got != "stored 9 bytes\n" {
		t.Errorf("got %q", got)
	}
	if got := do(t, "GET", url+"/file", ""); got != "some text" {
		t.Errorf("got %q", got)
	}
	if got := do(t, "PUT", url+"/file", strings.Repeat("x", maxFile+1)); !strings.Contains(got, "too large") {
		t.Errorf("got %q", got)
	}
}

func TestPayloadAndEnv(t *testing.T) {
	t.Setenv("HELLO_TEST", "a b")
	url := start(t, t.TempDir())
	if got := do(t, "GET", url+"/payload", ""); len(got) != 1024 {
		t.Errorf("the payload has %d bytes", len(got))
	}
	if got := do(t, "GET", url+"/env", ""); !strings.Contains(got, "HELLO_TEST=a b\n") {
		t.Errorf("got %q", got)
	}
}
