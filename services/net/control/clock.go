package control

import (
	"slices"

	"github.com/tuplix/tuplix/services/net"
)

// noServers is the value of the setting that has the clock left alone.
const noServers = "none"

// timeServers are those to be asked, and where they are from: the setting, or else the
// leases.
func (s *Service) timeServers(snap *net.Snapshot) (names []string, source string) {
	s.mu.Lock()
	names = s.servers
	s.mu.Unlock()
	switch {
	case len(names) == 1 && names[0] == noServers:
		return nil, ""
	case len(names) > 0:
		return names, "setting"
	}
	for i := range snap.Interfaces {
		if l := snap.Interfaces[i].DHCP; l != nil {
			for _, a := range l.NTP {
				if name := a.String(); !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	return names, "dhcp"
}

// readClock tells the time's client its servers, and makes rows of where it stands.
func (r *recorder) readClock(st *state, snap *net.Snapshot) {
	c := r.s.clock
	if c == nil {
		return
	}
	names, source := r.s.timeServers(snap)
	c.SetServers(names)
	now := c.Status()
	if now.Next.IsZero() {
		return // there are no servers, or they are being asked
	}
	st.clock = []Clock{{
		Name: "machine", Synchronized: now.Synchronized, Offset: now.Offset, Steps: now.Steps, At: stamp(now.At), Next: stamp(now.Next),
	}}
	for _, s := range now.Servers {
		row := TimeServer{Name: s.Name, Source: source, Stratum: s.Stratum, Offset: s.Offset, Delay: s.Delay, At: stamp(s.At)}
		if s.Err != nil {
			row.Problem = s.Err.Error()
		}
		st.servers = append(st.servers, row)
	}
}
