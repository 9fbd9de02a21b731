package cmdline

import (
	"reflect"
	"testing"
)

func TestParse(t *testing.T) {
	l, err := Parse("console=ttyS0 quiet virtio_mmio.device=512@0x1:5 env.A=b%20c env.E= arg=-n arg= virtio_mmio.device=512@0x2:6\n")
	if err != nil {
		t.Fatal(err)
	}
	want := Line{
		Options: []Option{{"console", "ttyS0"}, {"quiet", ""}, {"virtio_mmio.device", "512@0x1:5"}, {"virtio_mmio.device", "512@0x2:6"}},
		Env:     []string{"A=b c", "E="},
		Args:    []string{"-n", ""},
	}
	if !reflect.DeepEqual(l, want) {
		t.Errorf("got %+v, want %+v", l, want)
	}
	if got := l.All("virtio_mmio.device"); len(got) != 2 {
		t.Errorf("All gives %q", got)
	}
	if got, ok := l.Get("virtio_mmio.device"); !ok || got != "512@0x2:6" {
		t.Errorf("Get gives %q, %v", got, ok)
	}
	if _, ok := l.Get("none"); ok {
		t.Error("Get finds an option that is not there")
	}
}

func TestParseArgs(t *testing.T) {
	l, err := Parse("a=b -- a=b -- % 100%25")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a=b", "--", "", "100%"}; !reflect.DeepEqual(l.Args, want) {
		t.Errorf("got %q, want %q", l.Args, want)
	}
}

// What is wrong is reported and the rest understood.
func TestParseErrors(t *testing.T) {
	for _, word := range []string{"a=%", "a=%2", "a=%zz", "%00", "=v", "env.=v", "env.a%3db=v", "arg=%x1"} {
		l, err := Parse("first " + word + " last")
		if err == nil {
			t.Errorf("%q is accepted", word)
		}
		if want := []Option{{"first", ""}, {"last", ""}}; !reflect.DeepEqual(l.Options, want) || l.Env != nil || l.Args != nil {
			t.Errorf("%q: got %+v", word, l)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, l := range []Line{
		{Options: []Option{{"", "v"}}},
		{Options: []Option{{"arg", "v"}}},
		{Options: []Option{{"env.A", "v"}}},
		{Options: []Option{{"--", ""}}},
		{Options: []Option{{"a", "\x00"}}},
		{Env: []string{"A"}},
		{Env: []string{"=v"}},
		{Env: []string{"A=\x00"}},
		{Args: []string{"\x00"}},
	} {
		if l.Check() == nil {
			t.Errorf("%+v is accepted", l)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("console=ttyS0 panic=poweroff env.HOME=/root arg=-n arg=two%20words")
	f.Add("a=b -- c=%3d %")
	f.Add("%3d=1 env.%zz=2 arg=%00")
	f.Fuzz(func(t *testing.T, s string) {
		l, _ := Parse(s) // errors are about words that are left out
		if err := l.Check(); err != nil {
			// A name may be written escaped so that it means something else
			// to String; such lines do not come from String.
			return
		}
		again, err := Parse(l.String())
		if err != nil {
			t.Fatalf("%q: %v", l.String(), err)
		}
		if !reflect.DeepEqual(again, l) {
			t.Fatalf("%q: got %+v, want %+v", l.String(), again, l)
		}
	})
}
