package system

import (
	"fmt"

	"github.com/tuplix/tuplix/kernel"
	"github.com/tuplix/tuplix/kernel/cmdline"
	"github.com/tuplix/tuplix/services/user"
)

// Boot is what the boot's command line says of who is let in:
//
//	login=console       who sits at the console has to log in; so it is without a word
//	login=none          who sits there is root
//	root.key=KEY        the first boot lets root in with this public SSH key
//	root.key=URL        and with those that are read there, by HTTP: a cloud's service of
//	                    metadata (metadata.go). Who can answer in its place becomes root
//	root.password=TEXT  and with this password, which everybody sees who sees the
//	                    command line: a key is better
type Boot struct {
	Login bool
	Root  user.Bootstrap
}

// BootOptions reads the command line. In a process of Linux nobody has to log in.
// What is not understood is an error, and counts as not said.
func BootOptions() (Boot, error) {
	if !kernel.Booted() {
		return Boot{}, nil
	}
	line, err := cmdline.Parse(kernel.CommandLine())
	if err != nil {
		return Boot{Login: true}, fmt.Errorf("the command line: %w", err)
	}
	return bootOptions(&line)
}

func bootOptions(line *cmdline.Line) (b Boot, err error) {
	key, _ := line.Get("root.key")
	if isURL(key) {
		b.Root.Source = metadata(key)
	} else {
		b.Root.Key = key
	}
	b.Root.Password, _ = line.Get("root.password")
	switch how, said := line.Get("login"); {
	case how == "none":
	case !said, how == "console":
		b.Login = true
	default:
		b.Login = true
		err = fmt.Errorf("the command line: login=%s is neither login=console nor login=none", how)
	}
	return b, err
}
