package system

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMetadata asks services of the kinds that clouds have.
func TestMetadata(t *testing.T) {
	const key = "ssh-ed25519 AAAA me@home"
	patience := metadataPatience
	t.Cleanup(func() { metadataPatience = patience })
	asked := 0
	mux := http.NewServeMux()
	answer := func(pattern, text string, may func(q *http.Request) bool) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, q *http.Request) {
			if may != nil && !may(q) {
				w.WriteHeader(http.StatusForbidden)
			}
			fmt.Fprint(w, text)
		})
	}
	answer("GET /plain", "# of me\n\n"+key+"\r\n"+key+"2", nil)
	answer("PUT /latest/api/token", "secret", func(q *http.Request) bool { return q.Header.Get("X-aws-ec2-metadata-token-ttl-seconds") != "" })
	answer("GET /latest/keys", key, func(q *http.Request) bool { return q.Header.Get("X-aws-ec2-metadata-token") == "secret" })
	answer("GET /later", key, func(*http.Request) bool { asked++; return asked > 2 })
	answer("GET /none", "# nothing\n", nil)
	answer("GET /long", strings.Repeat(key+"\n", metadataMost/len(key)), nil)
	mux.Handle("GET /away", http.RedirectHandler("/plain", http.StatusFound))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	for path, want := range map[string][]string{
		"plain": {key, key + "2"}, "latest/keys": {key}, "later": {key},
	} {
		got, err := metadata(server.URL + "/" + path).Keys(t.Context())
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	for path, want := range map[string]string{"none": "there is none", "long": "too long", "away": "302", "absent": "404"} {
		u, err := url.Parse(server.URL + "/" + path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := askKeys(t.Context(), u); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	metadataPatience = 10 * time.Millisecond
	if got, err := metadata("http://user:secret@127.0.0.1:1/").Keys(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("nobody there: %q, %v", got, err)
	}
}
