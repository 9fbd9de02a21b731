package ssh

import (
	"testing"

	"golang.org/x/crypto/ssh"
)

// Requests of any content are understood or refused, and start a session once.
func FuzzRequest(f *testing.F) {
	f.Add("pty-req", ssh.Marshal(&ptyRequest{Term: "xterm", Width: 80, Height: 24}), false)
	f.Add("window-change", ssh.Marshal(&sizeRequest{Width: 1 << 31}), true)
	f.Add("env", ssh.Marshal(&envRequest{"LANG", "C"}), false)
	f.Add("env", ssh.Marshal(&envRequest{"LC_\x00", "C\x00"}), false)
	f.Add("exec", ssh.Marshal(&execRequest{"ls"}), false)
	f.Add("signal", ssh.Marshal(&signal{"INT"}), true)
	f.Add("shell", []byte(nil), true)
	f.Fuzz(func(t *testing.T, kind string, payload []byte, started bool) {
		x := &Session{}
		start, ok := x.request(kind, payload, started)
		if start && (!ok || started || kind != "shell" && kind != "exec") {
			t.Errorf("%s starts a session", kind)
		}
		if w, h := x.Size(); w < 0 || h < 0 || w > maxSide || h > maxSide {
			t.Errorf("a terminal of %d by %d", w, h)
		}
		if started && (len(x.Env) > 0 || x.Terminal || x.Command != "") {
			t.Errorf("%s changes a session that runs", kind)
		}
	})
}
