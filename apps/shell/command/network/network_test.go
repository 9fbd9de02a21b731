package network

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/apps/shell/command"
)

const routes4 = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0202000A	0003	0	0	100	00000000	0	0	0
eth0	0002000A	00000000	0001	0	0	0	00FFFFFF	0	0	0
`

const routes6 = `fec00000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000002 00000400 00000001 00000000 00000003     eth0
ff000000000000000000000000000000 08 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
`

func show(list []route) string {
	var lines []string
	for _, r := range list {
		lines = append(lines, r.String())
	}
	return strings.Join(lines, "\n")
}

func TestRoutes(t *testing.T) {
	list, err := parseRoutes4(strings.NewReader(routes4))
	if want := "default via 10.0.2.2 dev eth0 metric 100\n10.0.2.0/24 dev eth0"; err != nil || show(list) != want {
		t.Errorf("%v, %v", show(list), err)
	}
	list, err = parseRoutes6(strings.NewReader(routes6))
	if want := "fec0::/64 dev eth0 metric 256\ndefault via fe80::2 dev eth0 metric 1024"; err != nil || show(list) != want {
		t.Errorf("%v, %v", show(list), err)
	}
}

func FuzzRoutes(f *testing.F) {
	f.Add(routes4)
	f.Add(routes6)
	f.Fuzz(func(t *testing.T, text string) {
		for _, parse := range []func(io.Reader) ([]route, error){parseRoutes4, parseRoutes6} {
			list, err := parse(strings.NewReader(text))
			if err == nil {
				show(list)
			}
		}
	})
}

func TestEcho(t *testing.T) {
	p := &pinger{kind: icmp4, size: 56}
	sent := p.packet(7)
	if checksum(sent) != 0 {
		t.Errorf("the checksum of a packet with its checksum is %#x, not 0", checksum(sent))
	}
	echo := bytes.Clone(sent)
	echo[0] = icmp4.reply
	if !p.answers(echo, sent) {
		t.Error("an echo is not accepted")
	}
	for name, spoil := range map[string]func(b []byte) []byte{
		"the request itself": func(b []byte) []byte { b[0] = icmp4.request; return b },
		"another number":     func(b []byte) []byte { binary.BigEndian.PutUint16(b[6:], 8); return b },
		"another sender":     func(b []byte) []byte { b[4]++; return b },
		"another payload":    func(b []byte) []byte { b[20]++; return b },
		"a short packet":     func(b []byte) []byte { return b[:10] },
		"nothing":            func([]byte) []byte { return nil },
	} {
		if p.answers(spoil(bytes.Clone(echo)), sent) {
			t.Errorf("%s is taken for an echo", name)
		}
	}
}

// call runs a command in a directory and returns its output and status.
func call(t *testing.T, cmd *command.Command, dir string, args ...string) (out, errs string, status int) {
	t.Helper()
	var o, e bytes.Buffer
	status = cmd.Status(context.Background(), &command.Call{Args: args, Dir: dir, Out: &o, Err: &e})
	return o.String(), e.String(), status
}

func TestWget(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/file":
			io.WriteString(w, "the content")
		case "/short":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "cut off")
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	dir := t.TempDir()
	if _, errs, status := call(t, wgetCommand, dir, server.URL+"/file"); status != 0 {
		t.Errorf("status %d: %s", status, errs)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "file")); string(text) != "the content" {
		t.Errorf("it saved %q, %v", text, err)
	}
	if out, errs, status := call(t, wgetCommand, dir, "-q", "-O", "-", server.URL+"/file"); status != 0 || out != "the content" {
		t.Errorf("it printed %q, status %d: %s", out, status, errs)
	}
	if _, errs, status := call(t, wgetCommand, dir, server.URL+"/nothing"); status != 1 || !strings.Contains(errs, "404") {
		t.Errorf("a missing file: status %d: %s", status, errs)
	}
	if _, _, status := call(t, wgetCommand, dir, server.URL+"/short"); status != 1 {
		t.Errorf("an answer cut off: status %d", status)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "short*")); len(left) != 0 || err != nil {
		t.Errorf("an answer cut off leaves %q", left)
	}
}

// TestPing needs ICMP sockets, which not every host gives.
func TestPing(t *testing.T) {
	out, errs, status := call(t, pingCommand, "/", "-c", "2", "-i", "0.01", "127.0.0.1")
	if strings.Contains(errs, "no ICMP socket") {
		t.Skip(errs)
	}
	if status != 0 || !strings.Contains(out, "number 2") || !strings.Contains(errs, "2 sent, 2 received") {
		t.Errorf("status %d:\n%s%s", status, out, errs)
	}
}
