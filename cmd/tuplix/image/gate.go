package image

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// gated are the functions of package syscall that an image replaces.
var gated = []string{"Syscall", "Syscall6", "RawSyscall", "RawSyscall6", "AllThreadsSyscall", "AllThreadsSyscall6"}

// addGate makes room for the files of shadowDir that let system calls about
// state run on the caller's goroutine (package kernel, gate.go): package
// syscall's own functions that every call goes through stay, as trapSyscall
// and so on. Its text is taken from the toolchain that builds; nothing of it
// is kept here. A system whose shadowDir has no gate does without.
func (w *workspace) addGate() error {
	dir := filepath.Join(w.goroot, "src", "syscall")
	if w.overlay[filepath.Join(dir, "zz_gate_linux.go")] == "" {
		return nil
	}
	if err := w.renameGated(filepath.Join(dir, "syscall_linux.go")); err != nil {
		return err
	}
	if err := w.renameText(filepath.Join(dir, "asm_linux_amd64.s"), "TEXT ·rawSyscallNoError(", "TEXT ·trapRawSyscallNoError("); err != nil {
		return err
	}
	for _, r := range []struct{ file, from, to string }{
		{"os_linux.go", "\nfunc fcntl(", "\nfunc trapFcntl("},
		{"panic.go", "\nfunc preprintpanics(", "\nfunc trapPreprintpanics("},
		{"panic.go", "\nfunc fatal(", "\nfunc trapFatal("},
		{"signal_unix.go", "\nfunc sighandler(", "\nfunc trapSighandler("},
		{"signal_unix.go", "\nfunc crash(", "\nfunc trapCrash("},
		{"signal_unix.go", "\nfunc os_sigpipe(", "\nfunc trapSigpipe("},
		{"heapdump.go", "\nfunc runtime_debug_WriteHeapDump(", "\nfunc trapWriteHeapDump("},
		{"heapdump.go", "\nfunc dwrite(", "\nfunc trapDwrite("},
		{"heapdump.go", "\nfunc flush(", "\nfunc trapFlush("},
	} {
		if err := w.renameText(filepath.Join(w.goroot, "src", "runtime", r.file), r.from, r.to); err != nil {
			return err
		}
	}
	return nil
}

// provide has the go command see text as the file name.
func (w *workspace) provide(name string, text []byte) error {
	file := filepath.Join(w.dir, "gate_"+filepath.Base(filepath.Dir(name))+"_"+filepath.Base(name))
	w.overlay[name] = file
	return writeIfChanged(file, text)
}

// renameGated provides the Go file with its gated functions renamed, so that
// calls among them stay among them, and with the declaration of
// rawSyscallNoError taken out.
func (w *workspace) renameGated(name string) error {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
	if err != nil {
		return err
	}
	found := 0
	var keep []ast.Decl
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if ok && fn.Recv == nil && fn.Name.Name == "rawSyscallNoError" {
			found++
			continue
		}
		keep = append(keep, d)
		if !ok || fn.Recv != nil || !isGated(fn.Name.Name) {
			continue
		}
		found++
		fn.Name.Name = "trap" + fn.Name.Name
		for _, c := range fn.Doc.List {
			if strings.HasPrefix(c.Text, "//go:linkname ") {
				c.Text = "//"
			}
		}
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if id, ok := call.Fun.(*ast.Ident); ok && isGated(id.Name) {
					id.Name = "trap" + id.Name
				}
			}
			return true
		})
	}
	if found != len(gated)+1 {
		return fmt.Errorf("%s is not as this tool knows it (Go 1.26): %d of %d functions found", name, found, len(gated)+1)
	}
	f.Decls = keep
	var out bytes.Buffer
	if err := format.Node(&out, fset, f); err != nil {
		return err
	}
	return w.provide(name, out.Bytes())
}

func isGated(name string) bool {
	for _, g := range gated {
		if g == name {
			return true
		}
	}
	return false
}

// renameText provides a file in which one function is out of the way of ours.
func (w *workspace) renameText(name, from, to string) error {
	source := name
	if changed := w.overlay[name]; changed != "" {
		source = changed
	}
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	if bytes.Count(text, []byte(from)) != 1 {
		return fmt.Errorf("%s is not as this tool knows it (Go 1.26): no %q", name, from)
	}
	return w.provide(name, bytes.Replace(text, []byte(from), []byte(to), 1))
}
