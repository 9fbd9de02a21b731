package system

import (
	"testing"

	"github.com/tuplix/tuplix/kernel/cmdline"
	"github.com/tuplix/tuplix/services/user"
)

// Nobody is root at the console unless the command line says so in these words.
func TestBootOptions(t *testing.T) {
	key := "ssh-ed25519 AAAA me@home"
	for text, want := range map[string]Boot{
		"":                                      {Login: true},
		"login":                                 {Login: true},
		"login=None":                            {Login: true},
		"login=console":                         {Login: true},
		"login=none":                            {},
		"root.password=x%20y login=none":        {Root: user.Bootstrap{Password: "x y"}},
		"root.key=ssh-ed25519%20AAAA%20me@home": {Login: true, Root: user.Bootstrap{Key: key}},
		"root.key=http://169.254.169.254/keys":  {Login: true, Root: user.Bootstrap{Source: metadata("http://169.254.169.254/keys")}},
	} {
		line, err := cmdline.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := bootOptions(&line)
		if got != want || (err != nil) != (text == "login" || text == "login=None") {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}
