package pc

import (
	"errors"

	"github.com/tuplix/tuplix/drivers/metal"
	"github.com/tuplix/tuplix/drivers/uart"
	"github.com/tuplix/tuplix/kernel"
	"github.com/tuplix/tuplix/services/linux"
	"github.com/tuplix/tuplix/services/linux/tty"
)

// openConsole makes a terminal of the first serial port. Without a port there
// is none, and the program's standard streams are empty.
func openConsole(devices *metal.Inventory) (func() linux.Description, error) {
	port, err := devices.OpenSerial()
	if errors.Is(err, uart.ErrAbsent) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	terminal := tty.New(port, kernel.Raise)
	terminal.Receive(kernel.EarlyInput())
	go func() {
		if err := terminal.Serve(port); err != nil {
			say("console: %v", err)
		}
	}()
	return func() linux.Description { return terminal.Open() }, nil
}
