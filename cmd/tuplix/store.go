package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/tuplix/tuplix/board/host"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/engine/embedded"
	"github.com/tuplix/tuplix/dbms/store"
)

func storeCommand() *command {
	return &command{
		name:  "store",
		args:  "ACTION [flags] DISK [FILE]",
		short: "look into the tables of a disk, restore, check, back up",
		long: `
Store works on the tables that programs keep on a disk image, which no machine
may use meanwhile.

  tables DISK          the tables, and what they are made of
  rows DISK            rows of a -table, as JSON lines; -at a moment
  log DISK             the newest transactions (-n of them): who, what, how much
  restore DISK         put the store, a -table, or the rows of a -table whose key
                       begins with -key, back to what they were -to a moment;
                       -dry-run shows what that would undo, and by whom. It takes
                       the same short time for any amount of data, and can itself
                       be undone by another restore
  check DISK           read everything and prove that it is whole
  stats DISK           counters, sizes, the oldest moment that can be read
  backup DISK FILE     write all to FILE ("-": standard output), or -after an
                       earlier backup what has happened since
  load DISK FILE       load a backup into a new or empty disk (-size), or the
                       next increment into one that was loaded

A moment is a time (2026-11-21T15:04:05Z, "2026-11-21 15:04:05" or 15:04 in local
time), a duration before now (10m, 2h30m), or a version as log prints it. Values
of -key are separated by commas.

Examples:
  tuplix store log -n 20 state.img
  tuplix store restore -to 10m -table file -key /home -dry-run state.img
  tuplix store backup state.img monday.backup
  tuplix store backup -after monday.backup state.img tuesday.backup`,
		run: runStore,
	}
}

// storeFlags are the flags and arguments of the command.
type storeFlags struct {
	keys   keyFlags
	json   bool
	table  string
	key    string
	at, to string
	dryRun bool
	n      int
	after  string
	size   int64
	path   string
	file   string
}

// storeActions say what to do on an open store.
var storeActions = map[string]func(*storeFlags, context.Context, *store.Store) error{
	"tables": (*storeFlags).tables, "rows": (*storeFlags).rows, "log": (*storeFlags).log,
	"restore": (*storeFlags).restore, "check": (*storeFlags).check, "stats": (*storeFlags).stats,
	"backup": (*storeFlags).backup,
}

func runStore(ctx context.Context, f *flag.FlagSet, args []string) (int, error) {
	var s storeFlags
	s.define(f)
	action := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		action, args = args[0], args[1:]
	}
	if err := parseFlags(f, args); err != nil {
		return 0, err
	}
	do := storeActions[action]
	if do == nil && action != "load" {
		return 0, usagef("%q is nothing to do with a store; \"tuplix help store\" lists what is", action)
	}
	if err := s.arguments(f.Args(), action == "backup" || action == "load"); err != nil {
		return 0, err
	}
	if action == "load" {
		return 0, s.load(ctx)
	}
	return 0, s.with(ctx, func(o *store.Store) error { return do(&s, ctx, o) })
}

func (s *storeFlags) define(f *flag.FlagSet) {
	f.StringVar(&s.keys.keyFile, "key-file", "", "open an encrypted disk with the content of `file` in place of a passphrase")
	f.BoolVar(&s.json, "json", false, "print JSON, for programs")
	f.StringVar(&s.table, "table", "", "the `table`")
	f.StringVar(&s.key, "key", "", "`values` that the key of the rows begins with")
	f.StringVar(&s.at, "at", "", "read as of a `moment`")
	f.StringVar(&s.to, "to", "", "restore to a `moment`")
	f.BoolVar(&s.dryRun, "dry-run", false, "show what a restore would undo, and change nothing")
	f.IntVar(&s.n, "n", 20, "show `count` transactions or rows; 0: all")
	f.StringVar(&s.after, "after", "", "back up what has happened since the backup in `file`")
	f.Int64Var(&s.size, "size", 1024, "size of a new disk, in `MiB`")
}

func (s *storeFlags) arguments(args []string, file bool) error {
	want := 1
	if file {
		want = 2
	}
	if len(args) != want {
		return usagef("%d arguments in place of %d", len(args), want)
	}
	s.path, s.file = args[0], args[len(args)-1]
	return nil
}

// with opens the store on the disk, which must have one.
func (s *storeFlags) with(ctx context.Context, do func(*store.Store) error) error {
	return s.withVolume(ctx, 0, func(v *host.Volume) (err error) {
		names, err := v.List("")
		if err != nil {
			return err
		}
		if !slices.Contains(names, store.Dir) {
			return fmt.Errorf("%s has no tables; a program makes them with store.Open", s.path)
		}
		o, err := store.Open(ctx, v, s.options())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, o.Close()) }()
		return do(o)
	})
}

// withVolume opens the disk; with a size, in bytes, it makes one if there is none.
func (s *storeFlags) withVolume(ctx context.Context, size int64, do func(*host.Volume) error) (err error) {
	o := host.Options{Size: size}
	if _, missing := os.Stat(s.path); missing == nil || size == 0 {
		if o.Key, err = s.keys.key(ctx, s.path, 0); err != nil {
			return err
		}
		defer clear(o.Key)
	}
	v, err := host.OpenVolume(s.path, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	return do(v)
}

func (s *storeFlags) options() store.Options {
	return store.Options{
		Options: embedded.Options{Log: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }},
		Op:      s.op("open"),
	}
}

// op is on whose behalf the tool works.
func (s *storeFlags) op(name string) engine.Op {
	o := engine.Op{Program: "tuplix store", Name: name}
	if u, err := user.Current(); err == nil {
		o.User = u.Username
	}
	return o
}

// moment returns the version that a flag means.
func moment(ctx context.Context, s *store.Store, text string) (engine.Version, error) {
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == 8 {
		return engine.Version(raw), nil
	}
	t, err := parseMoment(text, time.Now())
	if err != nil {
		return "", err
	}
	return s.Engine().At(ctx, t)
}

// parseMoment reads a time, or a duration before now.
func parseMoment(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05.999999", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			y, m, d := now.Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location()), nil
		}
	}
	return time.Time{}, usagef("%q is no moment: give a time (2026-11-21T15:04:05Z, 15:04), a duration before now (10m), or a version that log prints", text)
}

// versionText is a version for people and for -to.
func versionText(v engine.Version) string { return hex.EncodeToString([]byte(v)) }

// printJSON prints a line.
func printJSON(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
