package system

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/kernel"
	"github.com/tuplix/tuplix/kernel/cmdline"
	"github.com/tuplix/tuplix/services/config"
	"github.com/tuplix/tuplix/services/file"
	"github.com/tuplix/tuplix/services/net/control"
	"github.com/tuplix/tuplix/services/user"
)

// OpenHere starts the services on the store of the machine that the program runs
// on. The board opens that store and its files only, so that a program which does
// not ask for services pays for none. Settings of the boot's command line
// (set.NAME=VALUE) override those of the store, and the kernel's log is kept.
// From then on system calls on files ask for the rights of callers that are not root.
// Close ends the services; store and files stay open. It is called once in a
// program. It fails with store.ErrNone in a process of Linux; other errors are
// those of Start.
func OpenHere(ctx context.Context) (*System, error) {
	st, err := store.OpenHere(ctx, store.Options{}, Tables()...)
	if err != nil {
		return nil, err
	}
	fs, err := file.Here()
	if err != nil {
		return nil, err
	}
	network, err := control.Here()
	if err != nil {
		return nil, err
	}
	line, err := cmdline.Parse(kernel.CommandLine())
	if err != nil {
		kernel.Say("services: the command line: " + err.Error()) // what was understood holds
	}
	s := &System{Store: st, File: fs, Net: network, here: true, options: Options{
		Override: config.Overrides(&line),
		Kernel:   kernel.LogFrom,
		Booted:   time.Now().Add(-kernel.Uptime()),
	}}
	s.options.Store.Log = func(format string, args ...any) { kernel.Say(fmt.Sprintf(format, args...)) }
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	user.Provide(s.User)
	return s, nil
}
