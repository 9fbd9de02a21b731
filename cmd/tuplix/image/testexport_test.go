package image

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestShareExports(t *testing.T) {
	goroot, err := GOROOT(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := &workspace{goroot: goroot, overlay: make(map[string]string)}
	for _, p := range []TestPackage{
		{ImportPath: "net", Standard: true},
		{ImportPath: "sort", Standard: false},
	} {
		if err := w.shareExports(p); err != nil || len(w.overlay) > 0 {
			t.Errorf("%+v: %v, %v", p, w.overlay, err)
		}
	}
	if err := w.shareExports(TestPackage{ImportPath: "sort", Standard: true}); err != nil {
		t.Fatal(err)
	}
	export := filepath.Join(w.goroot, "src", "os", "export_linux_test.go")
	if to, ok := w.overlay[export]; !ok || to != "" {
		t.Errorf("%s is %q", export, to)
	}
	shared := filepath.Join(w.goroot, "src", "os", "zz_export_linux.go")
	if to := w.overlay[shared]; to != export {
		t.Errorf("%s is %q", shared, to)
	}
	for name := range w.overlay {
		if strings.HasSuffix(name, "os_test.go") {
			t.Errorf("%s has tests and is shared", name)
		}
	}
	tests := filepath.Join(w.goroot, "src", "sort", "sort_test.go")
	if err := w.shareFile(tests, "package sort_test"); err == nil {
		t.Errorf("%s is shared", tests)
	}
}
