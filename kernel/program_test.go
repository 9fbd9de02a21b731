package kernel

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/tuplix/tuplix/kernel/cmdline"
)

// setCommandLine gives the kernel a command line, as a boot loader does.
func setCommandLine(s string) {
	commandLineLen = copy(commandLine[:maxCmdline-1], s)
}

// programStrings is the program's arguments and environment as the kernel
// makes them of its command line.
func programStrings(stack []byte) (args, env []string) {
	var argv, envp [maxStrings]uintptr
	bottom := uintptr(unsafe.Pointer(&stack[0]))
	end, argc, envc := pushStrings(bottom+uintptr(len(stack)), bottom, &argv, &envp)
	text := func(p uintptr) string {
		b := stack[p-bottom:]
		return string(b[:slices.Index(b, 0)])
	}
	for _, p := range argv[:argc] {
		args = append(args, text(p))
	}
	for _, p := range envp[:envc] {
		env = append(env, text(p))
	}
	if end < bottom {
		panic("the strings do not fit")
	}
	return args, env
}

func testStack(t testing.TB) []byte {
	stack, err := syscall.Mmap(-1, 0, 64<<10, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		setCommandLine("")
		if err := syscall.Munmap(stack); err != nil {
			t.Error(err)
		}
	})
	return stack
}

func TestProgramStrings(t *testing.T) {
	stack := testStack(t)
	for _, test := range []struct{ line, args, env string }{
		{"", "tuplix", ""},
		{"program=/bin/sh quiet arg=-c arg=a%20b env.A=1 arg= arg env.B env.C=%3d=", "/bin/sh|-c|a b||", "A=1|B=|C==="},
		{" \t-- a=b % %25 arg=x -- env.A=1\n", "tuplix|a=b||%|arg=x|--|env.A=1", ""},
		{"arg=%zz arg=% arg=100%", "tuplix|%zz|%|100%", ""},
	} {
		setCommandLine(test.line)
		args, env := programStrings(stack)
		if a, e := strings.Join(args, "|"), strings.Join(env, "|"); a != test.args || e != test.env {
			t.Errorf("%q: got %q and %q, want %q and %q", test.line, a, e, test.args, test.env)
		}
	}
}

func TestNumberOption(t *testing.T) {
	defer setCommandLine("")
	for s, want := range map[string]int{"0": 0, "12": 12, "0x501": 0x501, "0xE9": 0xE9, "": -1, "x": -1, "-1": -1, "1a": -1, "0x": 0, "99999999999999999999": -1} {
		setCommandLine("a n=1 n=" + s + " -- n=7")
		n, ok := numberOption("n")
		if !ok {
			n = -1
		}
		if n != want {
			t.Errorf("%q is %d, want %d", s, n, want)
		}
	}
}

// FuzzCommandLine: the kernel and package cmdline read the same.
func FuzzCommandLine(f *testing.F) {
	f.Add("console=ttyS0 panic=poweroff quiet env.HOME=/root arg=-n arg=two%20words")
	f.Add("a=b env.A env.B= arg arg= -- c=%3d % env.C=1\n")
	f.Add("env.%c3%a9=%25 arg=%e4 x%3dy=1")
	stack := testStack(f)
	f.Fuzz(func(t *testing.T, s string) {
		l, err := cmdline.Parse(s)
		if err != nil || l.Check() != nil || strings.ContainsRune(s, 0) {
			return
		}
		lines := []string{l.String()}
		if !strings.Contains(s, "%") { // names that are written in another way are cmdline's alone
			lines = append(lines, s)
		}
		for _, line := range lines {
			if len(line) >= maxCmdline || len(l.Args) >= maxStrings || len(l.Env) > maxStrings {
				return
			}
			setCommandLine(line)
			args, env := programStrings(stack)
			if !slices.Equal(args[1:], l.Args) || !slices.Equal(env, l.Env) {
				t.Fatalf("%q: arguments %q and %q, cmdline has %q and %q", line, args[1:], env, l.Args, l.Env)
			}
			for _, o := range l.Options {
				want, _ := l.Get(o.Name)
				if got, ok := option(o.Name); !strings.Contains(line, "%") && (!ok || got != want) {
					t.Fatalf("%q: %s is %q, %v; cmdline has %q", line, o.Name, got, ok, want)
				}
			}
		}
	})
}
