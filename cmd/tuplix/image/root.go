package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"golang.org/x/mod/modfile"
)

// modulePath is the system's own module.
const modulePath = "github.com/tuplix/tuplix"

// boardPath is the package whose import puts the system into an image.
const boardPath = modulePath + "/board/pc"

// Root finds the directory of the Tuplix module whose packages go into images:
// TUPLIX_ROOT if set, else the source tree this program was compiled from,
// else, for a program made by "go install ...@version", that version in the
// module cache.
func Root(ctx context.Context) (string, error) {
	if dir := os.Getenv("TUPLIX_ROOT"); dir != "" {
		if err := checkRoot(dir); err != nil {
			return "", fmt.Errorf("TUPLIX_ROOT=%s: %w", dir, err)
		}
		return filepath.Abs(dir)
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		dir := filepath.Join(filepath.Dir(file), "..", "..", "..")
		if checkRoot(dir) == nil {
			return dir, nil
		}
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Path == modulePath && info.Main.Version != "(devel)" {
		return downloaded(ctx, info.Main.Version)
	}
	return "", errors.New("the source of Tuplix is needed to build images and was not found: set TUPLIX_ROOT to its directory")
}

// checkRoot reports why dir is not the root of the Tuplix module.
func checkRoot(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	if got := modfile.ModulePath(data); got != modulePath {
		return fmt.Errorf("holds module %q, not %s", got, modulePath)
	}
	return nil
}

// downloaded returns the directory of the module's given version in the module
// cache, where the go command puts it if it is not there.
func downloaded(ctx context.Context, version string) (string, error) {
	out, err := goOutput(ctx, "", []string{"GOWORK=off", "GOFLAGS=-mod=mod"}, "mod", "download", "-json", modulePath+"@"+version)
	if err != nil {
		return "", fmt.Errorf("fetch the source of Tuplix %s (or set TUPLIX_ROOT to a copy): %w", version, err)
	}
	var m struct{ Dir, Error string }
	if err := json.Unmarshal(out, &m); err != nil {
		return "", fmt.Errorf("go mod download: %w", err)
	}
	if m.Error != "" {
		return "", fmt.Errorf("fetch the source of Tuplix %s: %s", version, m.Error)
	}
	return m.Dir, nil
}

// GOROOT returns the directory of the Go distribution that images are built
// with.
func GOROOT(ctx context.Context) (string, error) {
	e, err := readGoEnv(ctx, "")
	return e.GOROOT, err
}
