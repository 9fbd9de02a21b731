package image

import "testing"

func TestWithTags(t *testing.T) {
	for _, test := range []struct{ flags, want string }{
		{"", "-tags=" + imageTags},
		{"-v", "-v -tags=" + imageTags},
		{"-tags=a,b -v", "-v -tags=a,b," + imageTags},
		{"--tags=a", "-tags=a," + imageTags},
	} {
		if got := withTags(test.flags); got != test.want {
			t.Errorf("%q becomes %q, want %q", test.flags, got, test.want)
		}
	}
	if got, want := joinTags("a b"), "a,b,"+imageTags; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

const boardApp = `package main

import (
	"github.com/usbarmory/tamago/board/maker/first"
	"github.com/usbarmory/tamago/board/maker/second.v2"
	"github.com/usbarmory/tamago/other"
)

func main() {
	print(first.Done, " ", second.Variable, " ", second.Done, " ", other.Done, " ", tag, "\n")
}
`

const boardInit = `
var Done = false

func init() { Done = true }
`

// Boards of TamaGo do not set the machine up; the rest of the program is
// initialised as it says.
func TestDisarmBoards(t *testing.T) {
	useStandIn(t)
	dir := writeTree(t, map[string]string{
		"go.mod":                         "module app\n\ngo 1.26\n\nrequire github.com/usbarmory/tamago v0.0.0\n\nreplace github.com/usbarmory/tamago => ./lib\n",
		"main.go":                        boardApp,
		"tag.go":                         "//go:build tuplix && mine\n\npackage main\n\nconst tag = \"tagged\"\n",
		"lib/go.mod":                     "module github.com/usbarmory/tamago\n\ngo 1.26\n",
		"lib/board/maker/first/a.go":     "package first\n" + boardInit,
		"lib/board/maker/second.v2/a.go": "package second\n\nvar Variable = compute()\n\nfunc compute() int { return len(m) }\n\nvar m = map[string]int{\"a\": 1, \"b\": 2}\n" + boardInit,
		"lib/other/a.go":                 "package other\n" + boardInit,
	})
	got := build(t, Options{Dir: dir, Tags: "mine"})
	if want := "false 2 false true tagged\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
