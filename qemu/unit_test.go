package qemu

import (
	"bytes"
	"context"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/kernel/cmdline"
)

func itoa(n int) string { return strconv.Itoa(n) }

// atoi returns 0 for what is no number.
func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

func TestParseForward(t *testing.T) {
	for in, want := range map[string]string{
		"8080:80":             "tcp:127.0.0.1:8080-:80",
		"53:53/udp":           "udp:127.0.0.1:53-:53",
		"1:2/tcp":             "tcp:127.0.0.1:1-:2",
		"0.0.0.0:65535:65535": "tcp:0.0.0.0:65535-:65535",
	} {
		f, err := ParseForward(in)
		if err != nil || f.String() != want {
			t.Errorf("%q: got %v, %v; want %s", in, f, err, want)
		}
	}
	for _, in := range []string{"", "80", "80:", ":80", "0:80", "80:65536", "x:80:80", "::1:80:80", "1:2:3:4", "80:80/sctp", "80:80/"} {
		if f, err := ParseForward(in); err == nil {
			t.Errorf("%q is accepted as %v", in, f)
		}
	}
}

func FuzzParseForward(f *testing.F) {
	f.Add("127.0.0.1:80:80/udp")
	f.Fuzz(func(t *testing.T, s string) {
		fwd, err := ParseForward(s)
		if err == nil && (fwd.Host < 1 || fwd.Host > 65535 || fwd.Guest < 1 || fwd.Guest > 65535 || strings.Contains(fwd.String(), ",")) {
			t.Errorf("%q gives %v", s, fwd)
		}
	})
}

func TestParseStatus(t *testing.T) {
	for _, test := range []struct {
		in     string
		status int
		ok     bool
	}{
		{"exit 0\n", 0, true},
		{"exit 255\n", 255, true},
		{"noise\nexit 3\nexit 4\n", 4, true},
		{"exit 3\nexit 9", 3, true},
		{"exit 256\n", 0, false},
		{"exit -1\n", 0, false},
		{"exit 1", 0, false},
		{"", 0, false},
	} {
		if status, ok := parseStatus([]byte(test.in)); status != test.status || ok != test.ok {
			t.Errorf("%q: got %d, %v", test.in, status, ok)
		}
	}
}

func TestLastBytes(t *testing.T) {
	text := strings.Repeat("x", 10000) + "exit 1\n"
	if got := lastBytes(strings.NewReader(text), 7); string(got) != "exit 1\n" {
		t.Errorf("got %q", got)
	}
}

func TestEscapeFilter(t *testing.T) {
	var e escapeFilter
	var got []byte
	for _, keys := range []string{"a\x01", "\x01b", "\x01", "cx", "d\x01x", "never"} {
		out, quit := e.pass([]byte(keys))
		got = append(got, out...)
		if quit {
			break
		}
	}
	if want := "a\x01bcxd"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCopyPipe(t *testing.T) {
	var out bytes.Buffer
	copyPipe(&out, strings.NewReader("ls\n"))
	if out.String() != "ls\n\x04" {
		t.Errorf("got %q", out.String())
	}
}

func TestArguments(t *testing.T) {
	c := Config{
		Image:   "i,mage",
		Machine: MicroVM,
		Line:    cmdline.Line{Args: []string{"two words"}},
		Disk:    &Disk{Path: "a,b", Faults: []Fault{{Op: "write", Errno: 5, Sector: -1}}, Log: "log"},
		Network: Network{Forwards: []Forward{{Host: 1, Guest: 2}}},
	}
	args, err := c.arguments(Choice{TCG, "max"})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(args, "\n")
	for _, want := range []string{
		"\ni,mage\n", " arg=two%20words", "status=0xe9", `"filename":"a,b"`, `"image":"log"`, `"file":"faults"`,
		"hostfwd=tcp:127.0.0.1:1-:2", "virtio-mmio.force-legacy=false", "\nvirtio-blk-device,drive=disk",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if len(c.Line.Options) != 0 {
		t.Error("the configuration was changed")
	}
	c.Line.Args = []string{"\x00"}
	if _, err := c.arguments(fallback); err == nil {
		t.Error("a NUL byte is accepted")
	}
}

func TestParseScriptErrors(t *testing.T) {
	for _, text := range []string{"jump\n", "boot now\n", "get 80\n", "fault write\n"} {
		if _, err := ParseScript("test", text); err == nil || !strings.HasPrefix(err.Error(), "test:1: ") {
			t.Errorf("%q: got %v", text, err)
		}
	}
	s, err := ParseScript("test", "# nothing\n\n  send  a b \nkill")
	want := []step{{3, "send", "a b"}, {4, "kill", ""}}
	if err != nil || !reflect.DeepEqual(s.steps, want) {
		t.Errorf("got %+v, %v", s, err)
	}
}

func FuzzParseScript(f *testing.F) {
	f.Add("boot\nexpect ready\nsend x\nexit 42\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseScript("fuzz", text)
		if err != nil {
			return
		}
		for _, st := range s.steps {
			if _, ok := verbs[st.verb]; !ok {
				t.Errorf("verb %q", st.verb)
			}
		}
	})
}

// The probe's guest must run where everything works: under TCG.
func TestProbeGuest(t *testing.T) {
	needQEMU(t)
	program, err := find()
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/probe.elf"
	if err := os.WriteFile(path, probeImage, 0o600); err != nil {
		t.Fatal(err)
	}
	if !boots(context.Background(), program, path, fallback) {
		t.Error("the probe fails under TCG")
	}
	if boots(context.Background(), program, path, Choice{TCG, "qemu64"}) {
		t.Error("the probe does not notice that XSAVE and FSGSBASE are missing")
	}
}

func TestParseAccel(t *testing.T) {
	for _, s := range []string{"auto", "kvm", "tcg"} {
		if _, err := ParseAccel(s); err != nil {
			t.Error(err)
		}
	}
	if _, err := ParseAccel("hax"); err == nil {
		t.Error("hax is accepted")
	}
}

// A write to a console that nobody reads must not lose or block anything.
func TestConsoleText(t *testing.T) {
	c := NewConsole()
	for range 100 {
		if _, err := io.WriteString(c, "0123456789"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.Text()); n != 1000 {
		t.Errorf("%d bytes", n)
	}
}
