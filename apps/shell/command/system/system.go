package system

import "github.com/tuplix/tuplix/apps/shell/command"

// Commands returns the commands of this package.
func Commands() []*command.Command {
	return []*command.Command{
		freeCommand, psCommand, uptimeCommand, dmesgCommand, dateCommand,
		unameCommand, hostnameCommand, idCommand, nprocCommand,
		syncCommand, rebootCommand, poweroffCommand,
		sleepCommand, envCommand, xargsCommand, timeoutCommand, clearCommand,
	}
}
