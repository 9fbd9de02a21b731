package control

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/net"
	"github.com/tuplix/tuplix/services/net/firewall"
)

// plan is what the tables of what is wanted say, read.
type plan struct {
	interfaces map[string]*net.Interface // by name, "*" included
	named      map[string]bool           // those that have a row in os.interfaces
	resolvers  []netip.Addr
	hostname   string
	time       []string // servers; "none" alone: no synchronisation
	rules      []firewall.Rule
	texts      []ruleText // of the rules
	problems   []Problem
}

// readPlan reads the tables. Rows that cannot be applied are left out, as problems.
func readPlan(tx *table.Tx) (*plan, error) {
	p := &plan{interfaces: map[string]*net.Interface{}, named: map[string]bool{}}
	err := errors.Join(
		missing(each(tx, Interfaces, p.addInterface)),
		missing(each(tx, Addresses, p.addAddress)),
		missing(each(tx, Routes, p.addRoute)),
		missing(each(tx, Resolvers, p.addResolver)),
		missing(each(tx, Rules, p.addRule)),
		p.readHostname(tx),
		p.readTimeServers(tx),
	)
	p.checkGateways()
	return p, err
}

// missing is nil for a table that was not made yet: it is empty.
func missing(err error) error {
	if errors.Is(err, table.ErrNoTable) {
		return nil
	}
	return err
}

// setting reads the text of a setting from its row, because the settings' service may
// not be open; "" where nothing was set.
func setting(tx *table.Tx, name string) (string, error) {
	row, err := config.Settings.Get(tx, name)
	switch {
	case err != nil:
		return "", missing(gone(err))
	case row.Override.Valid:
		return row.Override.V, nil
	}
	return row.Value.V, nil
}

func (p *plan) readHostname(tx *table.Tx) (err error) {
	p.hostname, err = setting(tx, Hostname.Name())
	if err != nil || p.hostname == "" {
		return err
	}
	if err := net.CheckHostname(p.hostname); err != nil {
		p.refuse(config.Settings, Hostname.Name(), err)
		p.hostname = ""
	}
	return nil
}

func (p *plan) readTimeServers(tx *table.Tx) error {
	text, err := setting(tx, TimeServersSetting.Name())
	p.time = strings.Fields(text)
	return err
}

func each[T any](tx *table.Tx, t *table.Table[T], f func(row *T)) error {
	for row, err := range t.Scan(tx, table.Span{}) {
		if err != nil {
			return err
		}
		f(&row)
	}
	return nil
}

// refuse notes why a row is left out.
func (p *plan) refuse(t interface{ Name() string }, row string, err error) {
	p.problems = append(p.problems, Problem{Table: t.Name(), Row: row, Problem: err.Error()})
}

// of returns what is wanted of an interface, for something to be added.
func (p *plan) of(name string) *net.Interface {
	i := p.interfaces[name]
	if i == nil {
		i = &net.Interface{Device: name, Mode: net.DHCP}
		p.interfaces[name] = i
	}
	return i
}

func checkName(name string) error {
	if name == "" || len(name) > 15 {
		return fmt.Errorf("%q is no interface's name, which has 1 to 15 bytes", name)
	}
	return nil
}

func (p *plan) addInterface(row *Interface) {
	if err := checkName(row.Name); err != nil {
		p.refuse(Interfaces, row.Name, err)
		return
	}
	modes := map[Mode]net.Mode{DHCP: net.DHCP, Static: net.Static, None: net.None}
	p.named[row.Name] = true
	i := p.of(row.Name)
	i.Mode, i.MTU = modes[row.Mode], int(row.MTU)
}

func (p *plan) addAddress(row *Address) {
	prefix, err := netip.ParsePrefix(row.Address)
	if err == nil {
		err = errors.Join(net.CheckAddress(prefix), checkName(row.Interface))
	}
	for name, other := range p.interfaces {
		for _, have := range other.Addresses {
			if err == nil && have.Addr() == prefix.Addr() {
				err = fmt.Errorf("%s has it already", name)
			}
		}
	}
	if row.Interface == EveryInterface {
		err = errors.New("an address belongs to one interface; name it")
	}
	if err != nil {
		p.refuse(Addresses, row.Interface+" "+row.Address, err)
		return
	}
	i := p.of(row.Interface)
	i.Addresses = append(i.Addresses, prefix)
}

func (p *plan) addRoute(row *Route) {
	r, err := row.parse()
	if err == nil {
		err = checkName(row.Interface)
	}
	if row.Interface == EveryInterface {
		err = errors.New("a route goes by one interface; name it")
	}
	if err != nil {
		p.refuse(Routes, row.key(), err)
		return
	}
	i := p.of(row.Interface)
	i.Routes = append(i.Routes, r)
}

func (r *Route) key() string { return r.Destination + " " + r.Interface + " " + r.Gateway }

// parse returns the route as the network takes it.
func (r *Route) parse() (n net.Route, err error) {
	n.Metric = r.Metric
	if n.Destination, err = netip.ParsePrefix(r.Destination); err != nil {
		return n, fmt.Errorf("%q is no subnet, as 192.0.2.0/24 is", r.Destination)
	}
	if r.Gateway != "" {
		if n.Gateway, err = netip.ParseAddr(r.Gateway); err != nil {
			return n, fmt.Errorf("%q is no address of a router", r.Gateway)
		}
	}
	return n, n.Check()
}

func (p *plan) addResolver(row *Resolver) {
	a, err := netip.ParseAddr(row.Address)
	if err == nil {
		err = net.CheckHost(a)
	}
	if err != nil {
		p.refuse(Resolvers, fmt.Sprint(row.Position), err)
		return
	}
	p.resolvers = append(p.resolvers, a)
}

// addRule takes a rule. One that cannot be read denies all of its direction if it was to deny
// something, and allows nothing.
func (p *plan) addRule(row *Rule) {
	if row.Off {
		return
	}
	r, err := row.parse()
	if err != nil {
		p.refuse(Rules, fmt.Sprint(row.Position), err)
		if firewall.Action(row.Action) == firewall.Allow {
			return
		}
		r = firewall.Rule{Action: firewall.Deny, Direction: firewall.Direction(row.Direction)}
	}
	p.rules = append(p.rules, r)
	p.texts = append(p.texts, ruleText{row.Position, r.String()})
}

// parse returns the rule as the firewall takes it.
func (r *Rule) parse() (firewall.Rule, error) {
	peer, err := firewall.ParsePeer(r.Peer)
	if err != nil {
		return firewall.Rule{}, err
	}
	rule := firewall.Rule{
		Action: firewall.Action(r.Action), Direction: firewall.Direction(r.Direction), Protocol: firewall.Protocol(r.Protocol),
		Peer: peer, First: r.FirstPort, Last: r.LastPort, Program: r.Program,
	}
	return rule, rule.Check()
}

// checkGateways leaves out routes of static interfaces whose router is not on a
// subnet of theirs.
func (p *plan) checkGateways() {
	for name, i := range p.interfaces {
		if i.Mode != net.Static {
			continue
		}
		i.Routes = slices.DeleteFunc(i.Routes, func(r net.Route) bool {
			if !r.Gateway.IsValid() || i.Reaches(r.Gateway) {
				return false
			}
			row := Route{Destination: r.Destination.String(), Interface: name, Gateway: r.Gateway.String()}
			p.refuse(Routes, row.key(), fmt.Errorf("%s has no address in the subnet of %v", name, r.Gateway))
			return true
		})
	}
	slices.SortFunc(p.problems, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Row, b.Row)) })
}

// Where an interface's configuration is from.
const (
	fromLine    = "command line"
	fromTable   = "table"
	fromDefault = "default"
)

// config is the configuration of the devices of these names: by the command line's,
// where that says something, else by the plan. sources tells which, for each.
func (p *plan) config(line net.Config, devices []string) (c net.Config, sources map[string]string) {
	c = net.Config{Hostname: cmp.Or(line.Hostname, p.hostname), DNS: p.resolvers}
	sources = map[string]string{}
	for _, name := range devices {
		i, source := p.device(line, name)
		i.Device = name
		c.Interfaces, sources[name] = append(c.Interfaces, i), source
	}
	return c, sources
}

func (p *plan) device(line net.Config, name string) (net.Interface, string) {
	if slices.ContainsFunc(line.Interfaces, func(i net.Interface) bool { return i.Device == name || i.Device == "" }) {
		return line.ForDevice(name), fromLine
	}
	if i := p.interfaces[name]; i != nil {
		if every := p.interfaces[EveryInterface]; every != nil && !p.named[name] {
			both := *i
			both.Mode, both.MTU = every.Mode, every.MTU
			return both, fromTable
		}
		return *i, fromTable
	}
	if i := p.interfaces[EveryInterface]; i != nil {
		return *i, fromTable
	}
	return line.ForDevice(name), fromDefault
}
