package pc

import (
	"fmt"
	"time"

	"github.com/tuplix/tuplix/drivers/metal"
	"github.com/tuplix/tuplix/kernel"
	"github.com/tuplix/tuplix/kernel/cmdline"
	"github.com/tuplix/tuplix/services/linux"
	"github.com/tuplix/tuplix/services/metric/figure"
	"github.com/tuplix/tuplix/services/user"
)

func init() {
	if !kernel.Booted() {
		return
	}
	if err := start(); err != nil {
		kernel.Console([]byte("tuplix: " + err.Error() + "\n"))
		kernel.PowerOff(1)
	}
}

// start brings the system up, in the order in which its parts need each other.
func start() error {
	line, err := cmdline.Parse(kernel.CommandLine())
	if err != nil {
		say("command line: %v", err)
	}
	devices := metal.Discover()
	for _, p := range devices.Problems {
		say("device: %v", p)
	}
	if err := devices.SetPower(); err != nil {
		say("%v", err)
	}
	if err := devices.SetWallClock(); err != nil {
		say("clock: %v", err)
	}
	go kernel.KeepClock()
	figure.Provide(kernelFigures)
	startEntropy(devices, &line)
	console, err := openPrompt(devices)
	if err != nil {
		return err
	}
	files, err := openVolume(devices, &line, console)
	if err != nil {
		return err
	}
	network, err := startNetwork(devices, &line, early{files.volume})
	if err != nil {
		return err
	}
	if err := files.mount(); err != nil {
		return err
	}
	network.follow(files.store)
	system, err := linux.New(linux.Config{
		Kernel:  descriptors{},
		Files:   files.fs,
		Console: console.terminal(files.store),
		Machine: machine{},
		Memory:  memory{},
		Network: network.service,
		Restart: func(how linux.Restart) error { return files.restart(how, network.drain) },
		Rights:  user.MayHere,
	})
	if err != nil {
		return err
	}
	if err := completeEnvironment(); err != nil {
		return err
	}
	kernel.Serve(system.Call)
	kernel.OnExit(func() { files.close(); network.drain() })
	network.configure(system)
	return files.unpackModules(&line)
}

// say adds a line to the kernel log.
func say(format string, args ...any) { kernel.Say(fmt.Sprintf(format, args...)) }

// descriptors are the kernel's descriptor numbers, as services/linux needs them.
type descriptors struct{}

func (descriptors) AllocFD(min int, pollable bool) (int, bool) { return kernel.AllocFD(min, pollable) }
func (descriptors) FreeFD(fd int)                              { kernel.FreeFD(fd) }
func (descriptors) SetReady(fd int, events uint32)             { kernel.SetReady(fd, events) }
func (descriptors) ClearReady(fd int, events uint32)           { kernel.ClearReady(fd, events) }

// machine is what uname, sysinfo and /proc show.
type machine struct{}

func (machine) Memory() (total, available uint64) {
	s := kernel.ReadStats()
	return s.MemoryTotal, s.MemoryFree
}

func (machine) Processors() int            { return kernel.ReadStats().CPUs }
func (machine) Processor() linux.Processor { return linux.Processor(kernel.ReadProcessor()) }

func (machine) Activity() linux.Activity {
	s := kernel.ReadStats()
	return linux.Activity{Threads: s.Threads, Switches: s.Switches, Interrupts: s.Interrupts, Calls: s.Calls, Faults: s.Faults}
}

func (machine) Started() time.Time  { return time.Now().Add(-kernel.Uptime()) }
func (machine) CommandLine() string { return kernel.CommandLine() }
func (machine) Log() []byte         { return kernel.Log() }
