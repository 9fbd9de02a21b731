package files

import (
	"sync"

	"github.com/u-root/u-root/pkg/core/cat"
	"github.com/u-root/u-root/pkg/core/chmod"
	"github.com/u-root/u-root/pkg/core/mkdir"
	"github.com/u-root/u-root/pkg/core/mktemp"
	"github.com/u-root/u-root/pkg/core/touch"

	"github.com/tuplix/tuplix/apps/shell/command"
)

// Commands returns the commands of this package.
func Commands() []*command.Command { return commands() }

var commands = sync.OnceValue(func() []*command.Command {
	return command.OfFiles([]*command.Command{
		command.Core("cat", "[file...]", "print files one after another", cat.New),
		command.Core("chmod", "[-R] mode file...", "change the permissions of files", chmod.New),
		command.Core("mkdir", "[-p] [-m mode] directory...", "make directories", mkdir.New),
		command.Core("mktemp", "[-d] [template]", "make a file or directory of a new name", mktemp.New),
		command.Core("touch", "[-amc] [-d time] file...", "make empty files or set the times of files", touch.New),
		cpCommand, mvCommand, rmCommand,
		lsCommand, findCommand, lnCommand, rmdirCommand, readlinkCommand,
		statCommand, duCommand, dfCommand, truncateCommand,
		tarCommand, gzipCommand, gunzipCommand, zcatCommand,
	})
})
