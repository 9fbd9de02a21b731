package firewall

import "testing"

func TestParse(t *testing.T) {
	for _, text := range []string{
		"allow in", "deny out", "deny in tcp", "deny in icmp from 10.0.0.0/8",
		"allow in tcp from 10.1.2.3 port 80", "allow in udp from fd00::/8 port 8000-8099 program web",
		"deny out tcp to fd00::1 port 25 program mail",
	} {
		r, err := Parse(text)
		if err != nil || r.String() != text {
			t.Errorf("%q is %q, %v", text, r, err)
		}
	}
	for _, text := range []string{
		"", "allow", "reject in", "allow through", "deny in tcp udp", "deny in sctp", "deny in to 10.0.0.1",
		"deny out from 10.0.0.1", "deny in port 80", "deny in icmp port 1", "deny in tcp port 0", "deny in tcp port 9-8",
		"deny in tcp port 70000", "deny in from 10.0.0.0/33", "deny in from host", "deny in tcp port", "deny in from ::ffff:1.2.3.4",
		"deny in from fe80::1%eth0",
	} {
		if r, err := Parse(text); err == nil {
			t.Errorf("%q is taken as %q", text, r)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("allow in tcp from 10.1.2.0/24 port 80-90 program web")
	f.Add("deny out udp to fd00::1 port 53")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(r.String())
		if err != nil || again != r {
			t.Errorf("%q is %+v, which says %q, which is %+v, %v", text, r, r, again, err)
		}
	})
}
