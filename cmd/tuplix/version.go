package main

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
)

func versionCommand() *command {
	return &command{
		name:  "version",
		short: "print the version of the tool",
		long:  "Version prints the version of the tool and of the Go release it was built with.",
		run: func(_ context.Context, f *flag.FlagSet, args []string) (int, error) {
			if err := parseFlags(f, args); err != nil {
				return 0, err
			}
			fmt.Printf("tuplix %s %s\n", version(), runtime.Version())
			return 0, nil
		},
	}
}

// version is the module version the tool was built as, with the revision of
// its source where the go command recorded one.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += " " + s.Value
		}
	}
	return v
}
