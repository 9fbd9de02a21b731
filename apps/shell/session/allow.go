package session

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"mvdan.cc/sh/v3/interp"

	"github.com/tuplix/tuplix/apps/shell/command"
	"github.com/tuplix/tuplix/services/user"
)

// Allow returns nil if the caller of ctx has a right, and else why not.
type Allow func(ctx context.Context, right user.Right, object user.Object) error

// mayRun says whether a command may be run. One that does not check for itself what
// its caller may do, nor is checked by system calls, has all of the machine; so each
// takes a right of its own.
func (s *Session) mayRun(ctx context.Context, cmd *command.Command) error {
	if s.options.Allow == nil || cmd.Checks || cmd.Files && s.options.FilesAsk {
		return nil
	}
	return s.options.Allow(ctx, user.Run, user.Object{Kind: user.KindProgram, Name: cmd.Name})
}

// mayOpen says whether the shell itself may open a file on behalf of the caller: for a
// redirection, a script, or a command that asks for rights.
func (s *Session) mayOpen(ctx context.Context, path string, flag int) error {
	if s.options.Allow == nil || path == os.DevNull {
		return nil
	}
	right := user.Read
	if flag&(os.O_WRONLY|os.O_RDWR) != 0 {
		right = user.Write
	}
	return s.options.Allow(ctx, right, user.Object{Kind: user.KindPath, Name: real(path)})
}

// real is the name of a file without symbolic links, as far as there is one.
func real(path string) string {
	if found, err := filepath.EvalSymlinks(path); err == nil {
		return found
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, filepath.Base(path))
}

// open is the interpreter's way to open files.
func (s *Session) open(ctx context.Context, path string, flag int, perm os.FileMode) (io.ReadWriteCloser, error) {
	whole := path
	if path != "" && !filepath.IsAbs(path) {
		whole = filepath.Join(interp.HandlerCtx(ctx).Dir, path)
	}
	if err := s.mayOpen(ctx, whole, flag); err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return interp.DefaultOpenHandler()(ctx, path, flag, perm)
}

// stat is the interpreter's way to look at a file: for test, and for cd.
func (s *Session) stat(ctx context.Context, path string, follow bool) (fs.FileInfo, error) {
	if err := s.mayOpen(ctx, path, os.O_RDONLY); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return interp.DefaultStatHandler()(ctx, path, follow)
}

// access is the interpreter's way to ask what may be done with a file.
func (s *Session) access(ctx context.Context, path string, mode interp.AccessMode) error {
	flag := os.O_RDONLY
	if mode&interp.AccessWrite != 0 {
		flag = os.O_WRONLY
	}
	if err := s.mayOpen(ctx, path, flag); err != nil {
		return &fs.PathError{Op: "access", Path: path, Err: err}
	}
	return interp.DefaultAccessHandler()(ctx, path, mode)
}

// readDir is the interpreter's way to find names for a pattern.
func (s *Session) readDir(ctx context.Context, path string) ([]fs.DirEntry, error) {
	if err := s.mayOpen(ctx, path, os.O_RDONLY); err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return interp.DefaultReadDirHandler2()(ctx, path)
}
