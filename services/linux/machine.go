package linux

// Restart says how reboot(2) ends the machine.
type Restart int

// The ways to end the machine.
const (
	Reboot Restart = iota
	PowerOff
	Halt
)

// Machine tells what uname, sysinfo and /proc show of the machine.
type Machine interface {
	// Memory is in bytes: of the machine, not in use, and of files cached.
	Memory() (total, free, cached uint64)
}
