package net

import (
	"strings"
	"testing"
)

func TestParseCommandLine(t *testing.T) {
	c, err := ParseCommandLine("console=ttyS0 ip=192.168.1.5/24,fd00::5/64,gw=192.168.1.1,gw=fe80::1,dns=1.1.1.1 hostname=box ip=dhcp,dev=eth1 -- ip=bad")
	if err != nil {
		t.Fatal(err)
	}
	if c.Hostname != "box" || len(c.Interfaces) != 2 {
		t.Fatalf("%+v", c)
	}
	if i := c.ForDevice("eth0"); i.Mode != Static || len(i.Addresses) != 2 || len(i.Gateways) != 2 || len(i.DNS) != 1 {
		t.Errorf("eth0: %+v", i)
	}
	if i := c.ForDevice("eth1"); i.Mode != DHCP {
		t.Errorf("eth1: %+v", i)
	}
	if i := (Config{}).ForDevice("eth0"); i.Mode != DHCP {
		t.Errorf("default: %+v", i)
	}
}

func TestParseCommandLineRefuses(t *testing.T) {
	for line, part := range map[string]string{
		"ip=":                                   "neither dhcp",
		"ip=10.0.0.1":                           "prefix length",
		"ip=10.0.0.1/24,gw=10.1.0.1":            "none of the subnets",
		"ip=10.0.0.1/24,foo=10.0.0.1":           "unknown option",
		"ip=dhcp,gw=10.0.0.1":                   "static configuration only",
		"ip=dhcp ip=none":                       "more than one",
		"ip=224.0.0.1/4":                        "host's address",
		"hostname=a_b":                          "hostname",
		"ip=10.0.0.1/24,dev=":                   "device name",
		"ip=10.0.0.1/24,dns=nonsense":           "not a host's",
		"ip=10.0.0.1/8,gw=10.0.0.2,gw=10.0.0.3": "more than one gateway",
	} {
		if _, err := ParseCommandLine(line); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %v, want %q", line, err, part)
		}
	}
}

func FuzzParseCommandLine(f *testing.F) {
	f.Add("ip=192.168.1.5/24,gw=192.168.1.1,dns=1.1.1.1 hostname=box")
	f.Add("ip=dhcp,dev=eth1")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := ParseCommandLine(line)
		if err != nil {
			return
		}
		for _, i := range c.Interfaces {
			if i.Mode == Static && len(i.Addresses) == 0 {
				t.Fatalf("static without an address: %+v", i)
			}
		}
	})
}
