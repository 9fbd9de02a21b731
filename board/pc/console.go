package pc

import (
	"bytes"
	"errors"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/drivers/metal"
	"github.com/tuplix/tuplix/drivers/uart"
	"github.com/tuplix/tuplix/kernel"
	"github.com/tuplix/tuplix/services/linux"
	"github.com/tuplix/tuplix/services/linux/tty"
)

// openPrompt opens the first serial port, for questions at first. It returns nil
// without one.
func openPrompt(devices *metal.Inventory) (*prompt, error) {
	port, err := devices.OpenSerial()
	if errors.Is(err, uart.ErrAbsent) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &prompt{port: port, rest: bytes.Clone(kernel.EarlyInput())}, nil
}

// terminal makes a terminal of the port, whose output waits for what the store owes.
// Without a port there is none, and the program's standard streams are empty.
func (p *prompt) terminal(s *store.Store) func() linux.Description {
	if p == nil {
		return nil
	}
	terminal := tty.New(p.port, kernel.Raise)
	terminal.SetStore(s)
	terminal.Receive(p.rest)
	go func() {
		if err := terminal.Serve(p.port); err != nil {
			say("console: %v", err)
		}
	}()
	return func() linux.Description { return terminal.Open() }
}
