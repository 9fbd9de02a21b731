package file

import (
	"archive/tar"
	"bytes"
	"strings"
	"syscall"
	"testing"
)

// FuzzExtent decodes any bytes and encodes what came of them again.
func FuzzExtent(f *testing.F) {
	x := extent{}
	x.refs[1], x.refs[2], x.refs[5] = pageRef{7, 3, 9, false}, pageRef{7, 4, 9, false}, pageRef{8, 0, 1, true}
	f.Add([]byte("inline"), x.encodePieces(nil))
	f.Fuzz(func(t *testing.T, inline, pieces []byte) {
		x, err := decodeExtent(inline, pieces)
		if err != nil {
			return
		}
		y, err := decodeExtent(x.inline, x.encodePieces(nil))
		if err != nil || x.refs != y.refs {
			t.Errorf("%+v became %+v, %v", x, y, err)
		}
	})
}

// FuzzFreed does the same with lists of freed data.
func FuzzFreed(f *testing.F) {
	f.Add(freedList{{1, 16}, {9, 1}}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := decodeFreed(b); err == nil && !bytes.Equal(l.encode(), b) {
			t.Errorf("%x became %x", b, l.encode())
		}
	})
}

func tarOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		contents := ""
		if h.Typeflag == tar.TypeReg {
			contents = strings.Repeat(h.Name, 5000)
			h.Size = int64(len(contents))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(contents)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestImportTar(t *testing.T) {
	fs := open(t, Options{})
	data := tarOf(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "dir/", Typeflag: tar.TypeDir, Mode: 0o750},
		tar.Header{Name: "dir/file", Typeflag: tar.TypeReg, Mode: 0o640, Uid: 3, Gid: 4},
		tar.Header{Name: "made/up/file", Typeflag: tar.TypeReg, Mode: 0o600},
		tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "dir/file"},
		tar.Header{Name: "hard", Typeflag: tar.TypeLink, Linkname: "dir/file"},
	)
	for range 2 { // again over what is there
		if err := fs.Root().ImportTar(bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	f := must[*Inode](t)(fs.Root().walk("dir/file"))
	if a := f.Attr(); a.Mode != syscall.S_IFREG|0o640 || a.UID != 3 || a.GID != 4 || a.Size != 40_000 || a.Links != 2 {
		t.Errorf("%+v", a)
	}
	for _, name := range []string{"../out", "dir/../../out"} {
		err := fs.Root().ImportTar(bytes.NewReader(tarOf(t, tar.Header{Name: name, Typeflag: tar.TypeReg})))
		wantErr(t, name, err, syscall.EINVAL)
	}
}

// FuzzImportTar unpacks any stream; the files must stay consistent.
func FuzzImportTar(f *testing.F) {
	f.Add(tarOf(f, tar.Header{Name: "a/b", Typeflag: tar.TypeReg, Mode: 0o644},
		tar.Header{Name: "a/c", Typeflag: tar.TypeLink, Linkname: "a/b"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := open(t, Options{Log: func(string, ...any) {}})
		if err := fs.Root().ImportTar(bytes.NewReader(b)); err != nil {
			t.Skip(err) // not an archive: refused, and nothing more to prove
		}
	})
}
