package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tuplix/tuplix/cmd/tuplix/image"
)

var update = flag.Bool("update", false, "write the list of the Go distribution's tests into docs/GO-TESTS.md")

// goPackage is a package of the list.
type goPackage struct {
	path    string
	apart   bool // left out of continuous integration
	skipped []skippedTest
}

// skippedTest is a test that is not run, and why.
type skippedTest struct{ test, reason string }

// pattern is the regular expression, as package testing takes them apart, that
// matches the test only. An element * of its name stands for all subtests.
func (s skippedTest) pattern() string {
	elements := strings.Split(s.test, "/")
	for i, e := range elements {
		if elements[i] = ""; e != "*" {
			elements[i] = "^" + regexp.QuoteMeta(e) + "$"
		}
	}
	return strings.Join(elements, "/")
}

// skipFlags returns what tells the test program to leave out what is skipped.
func (p *goPackage) skipFlags() []string {
	if len(p.skipped) == 0 {
		return nil
	}
	var patterns []string
	for _, s := range p.skipped {
		patterns = append(patterns, s.pattern())
	}
	return []string{"-test.skip=" + strings.Join(patterns, "|")}
}

// readDistribution reads the list.
func readDistribution(t *testing.T) []goPackage {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "distribution.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var list []goPackage
	for n, line := range strings.Split(string(text), "\n") {
		word := strings.TrimSpace(line)
		switch {
		case word == "" || word[0] == '#':
		case line[0] != ' ' && line[0] != '\t':
			path, apart := strings.CutPrefix(word, "+")
			list = append(list, goPackage{path: path, apart: apart})
		default:
			test, reason, ok := strings.Cut(word, ": ")
			if !ok || len(list) == 0 {
				t.Fatalf("testdata/distribution.txt:%d: want TEST: REASON below a package, have %q", n+1, word)
			}
			p := &list[len(list)-1]
			p.skipped = append(p.skipped, skippedTest{test, reason})
		}
	}
	return list
}

// TestDistributionList checks that what is skipped exists.
func TestDistributionList(t *testing.T) {
	goroot, err := image.GOROOT(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range readDistribution(t) {
		files, err := filepath.Glob(filepath.Join(goroot, "src", filepath.FromSlash(p.path), "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s has no tests (%v)", p.path, err)
		}
		var text []byte
		for _, f := range files {
			more, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, more...)
		}
		for _, s := range p.skipped {
			name, _, _ := strings.Cut(s.test, "/")
			if !bytes.Contains(text, []byte("func "+name+"(")) {
				t.Errorf("%s has no %s", p.path, name)
			}
		}
	}
}

// TestDistributionPage checks that docs/GO-TESTS.md shows the list.
func TestDistributionPage(t *testing.T) {
	page := filepath.Join("..", "..", "docs", "GO-TESTS.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	prose, _, ok := strings.Cut(string(text), pageMark)
	if !ok {
		t.Fatalf("%s has no line %q", page, pageMark)
	}
	want := prose + pageMark + pageList(readDistribution(t))
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s does not show testdata/distribution.txt: go test ./cmd/tuplix -run DistributionPage -update", page)
	}
	if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// pageMark separates a page's prose from what is made.
const pageMark = "<!-- From here on the page is made from the list; see Rules. -->\n"

// pageList is the list as the page has it: a table of packages, and one of
// skipped tests.
func pageList(list []goPackage) string {
	var packages, skipped strings.Builder
	for _, p := range list {
		where := "CI"
		if p.apart {
			where = "`make test-go`"
		}
		runs := "all"
		if n := len(p.skipped); n > 0 {
			runs = fmt.Sprintf("all but %d", n)
		}
		fmt.Fprintf(&packages, "| %s | %s | %s |\n", p.path, where, runs)
		for _, s := range p.skipped {
			fmt.Fprintf(&skipped, "| %s | %s | %s |\n", p.path, s.test, s.reason)
		}
	}
	return "\n| package | run by | tests |\n| --- | --- | --- |\n" + packages.String() +
		"\n| package | skipped test | why |\n| --- | --- | --- |\n" + skipped.String()
}
