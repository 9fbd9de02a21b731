package transcript_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// services are the packages with procedures, relative to services/.
var services = []string{"config", "file", "log", "message", "metric", "net/control", "ssh", "system", "task", "trace", "user"}

// none are the exported functions and methods that change no tables on behalf of a
// caller: they look, wait, open and close, make values, or prepare what others do.
// Whatever is not here needs a transcript.
var none = map[string][]string{
	"config": {
		"Tables", "Open", "Service.Close", "Service.Follow", "New", "Bool", "Int", "Text", "Duration", "Size", "Setting.Check",
		"Between", "OneOf", "Setting.Name", "Setting.In", "Overrides",
	},
	"file": {
		"Tables", "Open", "OpenVolume", "FS.Close", "Provide", "Here", "ParseTime", "FS.Listen", "FS.Space", "FS.In", "FS.Progress",
		"FS.FollowLocks", "FS.LocksChanged", // of locks, which package linux tests
		"Inode.Share", "Inode.Mapped", "Inode.Refresh", "Inode.CollectChanges", "Inode.Unshare", // of mappings, which package linux tests
		"Inode.Number", "Inode.Mode", "Inode.Place", "Inode.Open", "Inode.Close", "Inode.Parent",
		"Inode.ReadAt", "Inode.Readlink", "Inode.Xattr", "FS.Figures", "Inode.SeekData", "Inode.SeekHole",
		"FS.At", "Past.Version", "Past.Inode", "PastInode.Readlink", "PastInode.Parent", "PastInode.ReadAt", "PastInode.Mode",
		"PastInode.Xattr", "Past.Root", "PastInode.Attr", "PastInode.Lookup", "PastInode.ReadDir", "PastInode.Xattrs",
	},
	"log":         {"WithSpan", "SpanFrom", "Open", "Service.Close", "Tables", "Settings"},
	"message":     {"Service.Waiting", "Service.Figures"},
	"metric":      {"Service.Addr", "Service.Add", "Open", "Service.Close", "Service.Handler", "Tables", "Settings"},
	"net/control": {"Service.Flush", "Provide", "Here", "Open", "Service.Close", "Tables", "Wanted", "Settings", "ParseModes", "Modes.Config", "Modes.String"},
	"ssh":         {"Tables", "Settings", "Open", "Server.Close", "Server.Addr", "Session.Size", "Session.Notify"},
	"system": {
		"BootOptions", "OpenHere", "System.Say", "Tables", "Settings", "Open", "OpenFiles", "System.Start", "System.LetIn",
		"System.Sync", "System.Close",
	},
	"task": {
		"Check", "Token.Verify", "Token.String", "Claimed.Token", "Context.Token", "ParsePolicy", "State.Ended", "State.Taken",
		"Settings", "Tables", "Service.Waiting", "Service.Figures",
	},
	"trace": {"Open", "Service.Close", "Remote", "Header", "Tables", "Settings"},
	"user": {
		"With", "From", "Caller.Op", "Object.String", "DeniedError.Error", "DeniedError.Unwrap", "Do", "OfGoroutine", "Open", "Tables",
		"Provide", "Asked", "MayHere", "Service.May", // of files, which package linux tests
	},
}

// elsewhere are the packages whose procedures are in the transcripts of another.
var elsewhere = map[string]string{"config": "system", "log": "system", "metric": "system", "ssh": "system", "trace": "system"}

// Each procedure of each service is called by the transcripts of its package, and each
// command that these know is said in one.
func TestProcedures(t *testing.T) {
	called := calls(t)
	for _, service := range services {
		t.Run(strings.ReplaceAll(service, "/", "-"), func(t *testing.T) {
			at := cmp.Or(elsewhere[service], service)
			dir := filepath.Join("../..", filepath.FromSlash(service))
			home := filepath.Join("../..", filepath.FromSlash(at))
			name := filepath.Join(home, "transcript_test.go")
			script, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			left := slices.Clone(none[service])
			for _, p := range procedures(t, dir) {
				if i := slices.Index(left, p); i >= 0 {
					left = slices.Delete(left, i, i+1)
				} else if !called[at][service+"."+p] {
					t.Errorf("%s: no transcript calls %s", name, p)
				}
			}
			if len(left) > 0 {
				t.Errorf("there is no %v any more", left)
			}
			said := conversations(t, home)
			for _, word := range commands(script) {
				if !regexp.MustCompile(`(?m)^> (as \S+ )?` + regexp.QuoteMeta(word) + `\b`).MatchString(said) {
					t.Errorf("%s: no transcript says %q", name, word)
				}
			}
		})
	}
}

// procedures returns the exported functions of a package, and the exported methods of
// exported types as Type.Method.
func procedures(t *testing.T, dir string) (list []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() {
				continue
			}
			if f.Recv == nil {
				list = append(list, f.Name.Name)
			} else if of := receiver(f.Recv.List[0].Type); ast.IsExported(of) {
				list = append(list, of+"."+f.Name.Name)
			}
		}
	}
	return list
}

// receiver is the name of a receiver's type.
func receiver(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.StarExpr:
		return receiver(x.X)
	case *ast.IndexExpr:
		return receiver(x.X)
	case *ast.Ident:
		return x.Name
	}
	return ""
}

// tree is what the paths of the services' packages begin with.
const tree = "github.com/tuplix/tuplix/services/"

// calls are the functions and methods that the transcripts' tests of services mention, as
// service.Function and service.Type.Method.
func calls(t *testing.T) map[string]map[string]bool {
	t.Helper()
	const mode = packages.NeedName | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedExportFile |
		packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo
	var paths []string
	for _, service := range services {
		if elsewhere[service] == "" {
			paths = append(paths, tree+service)
		}
	}
	all, err := packages.Load(&packages.Config{Mode: mode, Tests: true}, paths...)
	if err != nil {
		t.Fatal(err)
	}
	called := map[string]map[string]bool{}
	for _, p := range all {
		for _, err := range p.Errors {
			t.Fatal(err)
		}
		for _, f := range p.Syntax {
			if filepath.Base(p.Fset.File(f.Pos()).Name()) == "transcript_test.go" {
				called[strings.TrimPrefix(strings.TrimSuffix(p.PkgPath, "_test"), tree)] = mentioned(p, f)
			}
		}
	}
	return called
}

// mentioned are those of one file.
func mentioned(p *packages.Package, f *ast.File) map[string]bool {
	names := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		name, ok := n.(*ast.Ident)
		if !ok {
			return true
		}
		if fn, ok := p.TypesInfo.Uses[name].(*types.Func); ok && fn.Pkg() != nil {
			names[strings.TrimPrefix(fn.Pkg().Path(), tree)+"."+of(fn)+fn.Name()] = true
		}
		return true
	})
	return names
}

// of is "Type." for a method of that type.
func of(fn *types.Func) string {
	r := fn.Signature().Recv()
	if r == nil {
		return ""
	}
	x := r.Type()
	if p, ok := x.(*types.Pointer); ok {
		x = p.Elem()
	}
	if named, ok := x.(*types.Named); ok {
		return named.Obj().Name() + "."
	}
	return ""
}

// commands are the words that a transcript's test knows: the cases of its switches, and
// the keys of its maps of functions.
func commands(f *ast.File) (words []string) {
	add := func(x ast.Expr) {
		if literal, ok := x.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			word, _ := strconv.Unquote(literal.Value)
			words = append(words, word)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CaseClause:
			for _, x := range n.List {
				add(x)
			}
		case *ast.CompositeLit:
			if !ofFunctions(n.Type) {
				break
			}
			for _, e := range n.Elts {
				if pair, ok := e.(*ast.KeyValueExpr); ok {
					add(pair.Key)
				}
			}
		}
		return true
	})
	return words
}

func ofFunctions(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.MapType:
		_, ok := x.Value.(*ast.FuncType)
		return ok
	case *ast.SelectorExpr:
		return x.Sel.Name == "Verbs"
	}
	return false
}

// conversations is the text of all transcripts of a package.
func conversations(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "testdata", "*.transcript"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
		all.WriteByte('\n')
	}
	return all.String()
}
