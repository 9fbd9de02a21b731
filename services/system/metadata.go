package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// metadata is where a virtual machine can ask what it is to be told: the URL of a text with
// public keys of SSH's, one on a line as in authorized_keys(5). Clouds have it at an address
// that only the machine reaches:
//
//	EC2, OpenStack   http://169.254.169.254/latest/meta-data/public-keys/0/openssh-key
//	DigitalOcean     http://169.254.169.254/metadata/v1/public-keys
//
// EC2 wants a token to be fetched first (version 2 of its service). Google's is not for this:
// it has keys of many users, some of which expire.
type metadata string

const (
	metadataMost  = 64 << 10               // bytes of an answer that are read
	metadataTry   = 5 * time.Second        // for one question
	metadataFirst = 250 * time.Millisecond // until it is asked again; then twice that, and so on
	metadataLast  = 8 * time.Second
)

func isURL(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// metadataPatience is for how long an answer is waited for: the network may still be on its
// way. Tests have less.
var metadataPatience = time.Minute

// Keys asks until there is an answer, or none comes for a minute.
func (m metadata) Keys(ctx context.Context) ([]string, error) {
	u, err := url.Parse(string(m))
	if err != nil {
		return nil, fmt.Errorf("root.key: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, metadataPatience)
	defer cancel()
	for wait := metadataFirst; ; wait = min(2*wait, metadataLast) {
		keys, err := askKeys(ctx, u)
		if err == nil {
			return keys, nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, fmt.Errorf("root.key: %s tells no key: %w", u.Redacted(), err)
		}
	}
}

// metadataClient follows no one elsewhere, and no proxy.
var metadataClient = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       metadataTry,
}

func askKeys(ctx context.Context, u *url.URL) ([]string, error) {
	header := http.Header{}
	if strings.HasPrefix(u.Path, "/latest/") {
		token, err := askMetadata(ctx, http.MethodPut, u.ResolveReference(&url.URL{Path: "/latest/api/token"}),
			http.Header{"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": {"60"}})
		if err == nil { // version 1 has none
			header.Set("X-Aws-Ec2-Metadata-Token", token)
		}
	}
	text, err := askMetadata(ctx, http.MethodGet, u, header)
	if err != nil {
		return nil, err
	}
	return keysOf(text)
}

func askMetadata(ctx context.Context, method string, u *url.URL, header http.Header) (text string, err error) {
	q, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return "", err
	}
	q.Header = header
	a, err := metadataClient.Do(q)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, a.Body.Close()) }()
	if a.StatusCode != http.StatusOK {
		return "", fmt.Errorf("it answers %q", a.Status)
	}
	b, err := io.ReadAll(io.LimitReader(a.Body, metadataMost+1))
	if err == nil && len(b) > metadataMost {
		err = errors.New("its answer is too long")
	}
	return string(b), err
}

// keysOf returns the keys of a text, at least one.
func keysOf(text string) (keys []string, err error) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			keys = append(keys, line)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("there is none in its answer")
	}
	return keys, nil
}
