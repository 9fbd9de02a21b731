package kernel

// The program: the first thread's stack as the Linux ABI lays it out (System V
// ABI for AMD64, 3.4.1), with the arguments and environment that the command
// line names. package cmdline is the format's description; this reads the
// same without allocating.

const maxStrings = 512 // arguments and variables

// Auxiliary vector types (elf.h).
const (
	atPagesize, atEntry, atRandom, atExecfn = 6, 9, 25, 31
	atSecure, atSysinfo, atClktck           = 23, 33, 17
)

// makeProgram makes the first thread ready, to enter the Go runtime.
func makeProgram() {
	low := programTop - programSize
	mem.lock()
	ok := insertVMA(findVMA(low), vma{start: low, end: programTop, prot: protRead | protWrite})
	mem.unlock()
	if !ok || !accessible(low, programSize, true) {
		crash("no memory for the first stack")
	}
	var argv, envp [maxStrings]uintptr
	sp, argc, envc := pushStrings(programTop, low+64<<10, &argv, &envp)
	sp &^= 15
	sp -= 16
	random := sp
	getrandom(random, 16)

	aux := [...][2]uintptr{
		{atPagesize, pageSize}, {atEntry, programEntry()}, {atRandom, random},
		{atExecfn, argv[0]}, {atSecure, 0}, {atClktck, 100}, {atSysinfo, vdsoPage}, {0, 0},
	}
	words := 1 + argc + 1 + envc + 1 + 2*len(aux)
	sp = (sp - uintptr(words)*8) &^ 15
	at8 := sp
	put := func(v uintptr) {
		*at[uintptr](at8) = v
		at8 += 8
	}
	put(uintptr(argc))
	for _, p := range argv[:argc] {
		put(p)
	}
	put(0)
	for _, p := range envp[:envc] {
		put(p)
	}
	put(0)
	for _, a := range aux {
		put(a[0])
		put(a[1])
	}

	sched.lock()
	t, i := newThread()
	t.regs.ip = uint64(programEntry())
	t.regs.cs, t.regs.ss, t.regs.flags = codeSelector, dataSelector, flagsUser
	t.regs.sp = uint64(sp)
	ready(thisProcessor(), i, false)
	sched.unlock()
}

// pushStrings writes the program's name, arguments and environment below sp
// and lists their addresses. It returns the lowest of them, and how many there
// are. What lies below low is not theirs.
func pushStrings(sp, low uintptr, argv, envp *[maxStrings]uintptr) (end uintptr, argc, envc int) {
	push := func(s string) uintptr {
		if sp -= uintptr(len(s)) + 2; sp < low {
			crash("the command line's arguments are too long")
		}
		return decode(sp, s)
	}
	name, ok := option("program")
	if !ok {
		name = "tuplix"
	}
	push(name)
	argv[0], argc = sp, 1
	rest := false
	for i := 0; i < commandLineLen; {
		var w string
		w, i = word(i)
		isArg, isEnv := rest || w == "arg" || prefixed(w, "arg="), prefixed(w, "env.")
		switch {
		case w == "":
		case !rest && w == "--":
			rest = true
		case isArg && argc < maxStrings:
			switch {
			case !rest:
				w = w[min(len("arg="), len(w)):]
			case w == "%":
				w = ""
			}
			push(w)
			argv[argc] = sp
			argc++
		case isEnv && envc < maxStrings:
			end := push(w[len("env."):])
			if !contains(w, '=') { // a variable without a value
				*at[[2]byte](end) = [2]byte{'=', 0}
			}
			envp[envc] = sp
			envc++
		}
	}
	return sp, argc, envc
}

// word returns the word of the command line at or after offset i, and where
// it ends.
func word(i int) (string, int) {
	for i < commandLineLen && isSeparator(commandLine[i]) {
		i++
	}
	start := i
	for i < commandLineLen && !isSeparator(commandLine[i]) {
		i++
	}
	return view(commandLine[start:i]), i
}

func isSeparator(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

func contains(s string, b byte) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == b {
			return true
		}
	}
	return false
}

func prefixed(s, prefix string) bool {
	return len(s) >= len(prefix) && s[:len(prefix)] == prefix
}

// option returns the value of the last option of that name, not decoded.
func option(name string) (value string, ok bool) {
	for i := 0; i < commandLineLen; {
		var w string
		w, i = word(i)
		if w == "--" {
			break
		}
		if w == name {
			value, ok = "", true
		} else if len(w) > len(name) && w[len(name)] == '=' && w[:len(name)] == name {
			value, ok = w[len(name)+1:], true
		}
	}
	return value, ok
}

func hasOption(name string) bool {
	_, ok := option(name)
	return ok
}

// numberOption is an option's value as a number, decimal or 0x hexadecimal.
func numberOption(name string) (int, bool) {
	s, ok := option(name)
	if !ok || s == "" {
		return 0, false
	}
	base := 10
	if prefixed(s, "0x") {
		base, s = 16, s[2:]
	}
	n := 0
	for i := 0; i < len(s); i++ {
		d := hexDigit(s[i])
		if d < 0 || d >= base || n > 1<<40 {
			return 0, false
		}
		n = n*base + d
	}
	return n, true
}

func hexDigit(b byte) int {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0')
	case b|0x20 >= 'a' && b|0x20 <= 'f':
		return int(b|0x20-'a') + 10
	}
	return -1
}

// decode writes s at p with its %XX resolved, and a zero byte, whose address
// it returns. The result is never longer than s.
func decode(p uintptr, s string) uintptr {
	for i := 0; i < len(s); i++ {
		b := s[i]
		if b == '%' && i+2 < len(s) && hexDigit(s[i+1]) >= 0 && hexDigit(s[i+2]) >= 0 {
			b = byte(hexDigit(s[i+1])<<4 | hexDigit(s[i+2]))
			i += 2
		}
		*at[byte](p) = b
		p++
	}
	*at[byte](p) = 0
	return p
}
