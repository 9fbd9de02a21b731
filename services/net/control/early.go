package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tuplix/tuplix/services/net"
)

// Modes are how interfaces get their addresses by the tables, by their names or "*": so
// much of what is wanted as a boot should know before it can read the tables, lest it ask
// for a lease that nobody wants. It may be out of date; the tables decide. Where all
// interfaces use DHCP it is nil.
//
// As text it has a line for each row, as "eth0 static".
type Modes map[string]Mode

// modes are those of the plan.
func (p *plan) modes() Modes {
	m := Modes{}
	other := false
	for name := range p.named {
		m[name] = modeName(p.interfaces[name].Mode)
		other = other || m[name] != DHCP
	}
	if !other {
		return nil
	}
	return m
}

// ParseModes reads the text of Modes.
func ParseModes(text string) (Modes, error) {
	m := Modes{}
	for line := range strings.Lines(text) {
		name, mode, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if err := checkName(name); err != nil {
			return nil, err
		}
		if !slices.Contains([]Mode{DHCP, Static, None}, Mode(mode)) {
			return nil, fmt.Errorf("%q is no mode of an interface", mode)
		}
		m[name] = Mode(mode)
	}
	return m, nil
}

func (m Modes) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s %s\n", name, m[name])
	}
	return b.String()
}

// Config is what a boot begins with, before the tables are read: what the command line
// says, DHCP, or to wait for the tables.
func (m Modes) Config(line net.Config, devices []string) net.Config {
	p := &plan{interfaces: map[string]*net.Interface{}, named: map[string]bool{}}
	for name, mode := range m {
		i := p.of(name)
		if p.named[name] = true; mode != DHCP {
			i.Mode = net.Later
		}
	}
	c, _ := p.config(line, devices)
	c.DNS = line.DNS
	return c
}
