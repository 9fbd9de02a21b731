package file

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestXattr changes extended attributes at random against a model, across groups,
// mounts, and the end of files.
func TestXattr(t *testing.T) {
	volume := vfs.NewMem()
	fs := must[*FS](t)(mount(volume, Options{Memory: MinMemory, Log: t.Logf}))
	r := rand.New(rand.NewPCG(1, 2))
	model := map[string]map[string]string{}
	for range 3000 {
		name := fmt.Sprint(r.IntN(4))
		switch r.IntN(40) {
		case 0:
			must[any](t)(nil, fs.Sync())
		case 1:
			closeChecked(t, fs)
			fs = must[*FS](t)(mount(volume, Options{Memory: MinMemory, Log: t.Logf}))
		case 2:
			if model[name] != nil {
				must[any](t)(nil, fs.Root().Unlink(name))
				delete(model, name)
			}
		default:
			if model[name] == nil {
				create(t, fs.Root(), name)
				model[name] = map[string]string{}
			}
			n := must[*Inode](t)(fs.Root().Lookup(name))
			xattrStep(t, n, model[name], r)
		}
	}
	closeChecked(t, fs)
}

func xattrStep(t *testing.T, n *Inode, model map[string]string, r *rand.Rand) {
	t.Helper()
	name, value := fmt.Sprint("user.", r.IntN(5)), strings.Repeat(fmt.Sprint(r.IntN(10)), r.IntN(300))
	old, exists := model[name]
	var err, want error
	switch flags := r.IntN(6); flags {
	case 0, XattrCreate, XattrReplace:
		err = n.SetXattr(name, []byte(value), flags)
		switch {
		case exists && flags == XattrCreate:
			want = syscall.EEXIST
		case !exists && flags == XattrReplace:
			want = syscall.ENODATA
		default:
			model[name] = value
		}
	case 3:
		err = n.RemoveXattr(name)
		if !exists {
			want = syscall.ENODATA
		}
		delete(model, name)
	case 4:
		var got []byte
		got, err = n.Xattr(name)
		if !exists {
			want = syscall.ENODATA
		}
		if string(got) != old {
			t.Fatalf("%s is %q, want %q", name, got, old)
		}
	case 5:
		var names []string
		names, err = n.Xattrs()
		if !slices.Equal(names, slices.Sorted(maps.Keys(model))) {
			t.Fatalf("names %q, want %v", names, model)
		}
	}
	if err != want {
		t.Fatalf("%s: %v, want %v", name, err, want)
	}
}

func TestXattrLimits(t *testing.T) {
	fs := open(t, Options{})
	f := create(t, fs.Root(), "f")
	for i := range MaxXattrs {
		must[any](t)(nil, f.SetXattr(fmt.Sprint("user.", i), nil, 0))
	}
	for _, c := range []struct {
		name  string
		size  int
		flags int
		want  error
	}{
		{"user.more", 0, 0, syscall.ENOSPC},
		{"user.0", MaxXattrValue, 0, nil},
		{"user.0", MaxXattrValue + 1, 0, syscall.E2BIG},
		{strings.Repeat("n", MaxXattrName+1), 0, 0, syscall.ERANGE},
		{"", 0, 0, syscall.ERANGE},
		{"user.0", 0, 4, syscall.EINVAL},
	} {
		if err := f.SetXattr(c.name, make([]byte, c.size), c.flags); err != c.want {
			t.Errorf("%.10q, %d bytes: %v, want %v", c.name, c.size, err, c.want)
		}
	}
	if value, err := f.Xattr("user.0"); len(value) != MaxXattrValue || err != nil {
		t.Errorf("%d bytes, %v", len(value), err)
	}
	must[any](t)(nil, f.Open())
	must[any](t)(nil, fs.Root().Unlink("f"))
	must[any](t)(nil, f.SetXattr("user.0", []byte("still open"), 0))
	must[any](t)(nil, f.Close())
	if err := f.SetXattr("user.0", nil, 0); err != syscall.ENOENT {
		t.Errorf("of a file that is gone: %v", err)
	}
}
