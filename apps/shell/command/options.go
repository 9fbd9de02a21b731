package command

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrHelp is returned by Options.Parse after it has printed the help that the
// user asked for. A command returns it as it is.
var ErrHelp = errors.New("help was printed")

// UsageError says that a command was called in a way it does not understand.
type UsageError struct{ Reason string }

func (e *UsageError) Error() string { return e.Reason }

// Usagef returns a UsageError.
func Usagef(format string, args ...any) error {
	return &UsageError{fmt.Sprintf(format, args...)}
}

// Options reads the options of a call, as POSIX and GNU programs take them:
// "-a -b", "-ab", "-n5", "-n 5", "--lines=5", "--lines 5"; "--" ends them and
// "-" is an operand. Unless InOrder is set, options may follow operands.
//
// -h and --help print the help of the command, except that a command that has
// an -h of its own only answers to --help.
type Options struct {
	InOrder bool // the first operand ends the options

	call *Call
	list []*option
}

type option struct {
	names []string // the letter, the long name, or both
	value string   // what the value is called; "" for an option without one
	help  string
	set   func(value string) error
}

// Options starts the description of the options that the command takes.
func (c *Call) Options() *Options { return &Options{call: c} }

// Flag describes an option without a value; names are "l", "l,long" or "long".
func (o *Options) Flag(names, help string) *bool {
	v := new(bool)
	o.add(names, "", help, func(string) error { *v = true; return nil })
	return v
}

// String describes an option with a value, which help calls by the given name.
func (o *Options) String(names, value, initial, help string) *string {
	v := &initial
	o.add(names, value, help, func(s string) error { *v = s; return nil })
	return v
}

// Strings describes an option that may be given several times.
func (o *Options) Strings(names, value, help string) *[]string {
	v := new([]string)
	o.add(names, value, help, func(s string) error { *v = append(*v, s); return nil })
	return v
}

// Int describes an option whose value is a whole number, at least least.
func (o *Options) Int(names, value string, initial, least int, help string) *int {
	v := &initial
	o.add(names, value, help, func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < least {
			return fmt.Errorf("%q is not a whole number of at least %d", s, least)
		}
		*v = n
		return nil
	})
	return v
}

func (o *Options) add(names, value, help string, set func(string) error) {
	o.list = append(o.list, &option{strings.Split(names, ","), value, help, set})
}

func (o *Options) find(name string) *option {
	for _, opt := range o.list {
		for _, n := range opt.names {
			if n == name {
				return opt
			}
		}
	}
	return nil
}

// Parse reads the arguments of the call and returns the operands: at least
// least, and at most most unless most is negative.
func (o *Options) Parse(least, most int) ([]string, error) {
	operands, err := o.scan(o.call.Args)
	if err != nil {
		return nil, err
	}
	switch {
	case len(operands) < least && len(operands) == 0:
		return nil, Usagef("an argument is missing")
	case len(operands) < least:
		return nil, Usagef("an argument is missing after %q", operands[len(operands)-1])
	case most >= 0 && len(operands) > most:
		return nil, Usagef("%q is one argument too many", operands[most])
	}
	return operands, nil
}

func (o *Options) scan(args []string) (operands []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return append(operands, args...), nil
		case strings.HasPrefix(arg, "--"):
			args, err = o.long(arg[2:], args)
		case len(arg) > 1 && arg[0] == '-':
			args, err = o.letters(arg[1:], args)
		case o.InOrder:
			return append(append(operands, arg), args...), nil
		default:
			operands = append(operands, arg)
		}
		if err != nil {
			return nil, err
		}
	}
	return operands, nil
}

// long takes one "--name", "--name=value" or "--name value" and returns what
// is left of the arguments.
func (o *Options) long(arg string, rest []string) ([]string, error) {
	name, value, joined := strings.Cut(arg, "=")
	opt := o.find(name)
	switch {
	case opt == nil && name == "help":
		return nil, o.help()
	case opt == nil || len(name) == 1:
		return nil, Usagef("there is no option --%s", name)
	case opt.value == "" && joined:
		return nil, Usagef("option --%s takes no value", name)
	case opt.value != "" && !joined:
		if len(rest) == 0 {
			return nil, Usagef("option --%s needs a value: %s", name, opt.value)
		}
		value, rest = rest[0], rest[1:]
	}
	return rest, o.store(opt, "--"+name, value)
}

// letters takes one cluster of letters, the last of which may have its value
// behind it or in the next argument.
func (o *Options) letters(cluster string, rest []string) ([]string, error) {
	for i, letter := range cluster {
		name := string(letter)
		opt := o.find(name)
		switch {
		case opt == nil && name == "h":
			return nil, o.help()
		case opt == nil:
			return nil, Usagef("there is no option -%s", name)
		case opt.value == "":
			if err := o.store(opt, "-"+name, ""); err != nil {
				return nil, err
			}
			continue
		}
		value := cluster[i+len(name):]
		if value == "" {
			if len(rest) == 0 {
				return nil, Usagef("option -%s needs a value: %s", name, opt.value)
			}
			value, rest = rest[0], rest[1:]
		}
		return rest, o.store(opt, "-"+name, value)
	}
	return rest, nil
}

func (o *Options) store(opt *option, shown, value string) error {
	if err := opt.set(value); err != nil {
		return Usagef("option %s: %v", shown, err)
	}
	return nil
}

func (o *Options) help() error {
	cmd := o.call.Command
	fmt.Fprintf(o.call.Out, "%s: %s\nusage: %s %s\n", cmd.Name, cmd.Summary, cmd.Name, cmd.Usage)
	for _, opt := range o.list {
		var names []string
		for _, n := range opt.names {
			dash := "-"
			if len(n) > 1 {
				dash = "--"
			}
			names = append(names, dash+n)
		}
		left := strings.TrimSpace(strings.Join(names, ", ") + " " + opt.value)
		fmt.Fprintf(o.call.Out, "  %-22s %s\n", left, opt.help)
	}
	return ErrHelp
}
