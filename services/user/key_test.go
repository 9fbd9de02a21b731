package user

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// keysOf makes a line for each type of key that has a private half in Go.
func keysOf(t testing.TB) (lines []string) {
	t.Helper()
	add := func(public any, err error) {
		if err != nil {
			t.Fatal(err)
		}
		k, err := ssh.NewPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))))
	}
	public, _, err := ed25519.GenerateKey(rand.Reader)
	add(public, err)
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		add(&k.PublicKey, err)
	}
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	add(&k.PublicKey, err)
	return lines
}

// Keys are read as the package that serves SSH reads them.
func TestParseKey(t *testing.T) {
	for _, line := range keysOf(t) {
		for _, comment := range []string{"", "me@home", "two words"} {
			want, wantComment, _, _, err := ssh.ParseAuthorizedKey([]byte(line + " " + comment))
			if err != nil {
				t.Fatal(err)
			}
			kind, wire, got, err := parseKey("\t" + line + "  " + comment + "\n")
			if err != nil || kind != want.Type() || !bytes.Equal(wire, want.Marshal()) || got != wantComment {
				t.Fatalf("%s %s: %q, %q, %v", kind, line, got, wantComment, err)
			}
			if fingerprintOf(wire) != ssh.FingerprintSHA256(want) {
				t.Errorf("%s: fingerprint %s", kind, fingerprintOf(wire))
			}
		}
	}
}

// What is not one key on one line is refused, and each byte of a key counts.
func TestParseKeyRefuses(t *testing.T) {
	lines := keysOf(t)
	_, blob, _ := strings.Cut(lines[0], " ")
	for _, bad := range []string{
		"", "ssh-ed25519", "ssh-ed25519 !", "ssh-dss " + blob, "ssh-rsa " + blob, `no-pty ` + lines[0],
		lines[0] + "\n" + lines[0], "ssh-ed25519 " + blob[:len(blob)-4], "ssh-ed25519 " + blob + "AAAA",
	} {
		if kind, _, _, err := parseKey(bad); err == nil {
			t.Errorf("%q is taken as %s", bad, kind)
		}
	}
	for _, line := range lines {
		kind, wire, _, err := parseKey(line)
		if err != nil {
			t.Fatal(err)
		}
		for n := range wire {
			if checkWire(kind, wire[:n]) == nil {
				t.Errorf("%d of %d bytes of a key of type %s are taken", n, len(wire), kind)
			}
		}
	}
}

// FuzzParseKey looks for lines that are read otherwise than ssh reads them.
func FuzzParseKey(f *testing.F) {
	for _, line := range keysOf(f) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		kind, wire, _, err := parseKey(line)
		if err != nil {
			return
		}
		if want, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil && (want.Type() != kind || !bytes.Equal(want.Marshal(), wire)) {
			t.Errorf("%s, not %s %s", want.Type(), kind, base64.StdEncoding.EncodeToString(wire))
		}
	})
}
