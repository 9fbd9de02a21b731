package oserror_test

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"

	theirs "github.com/cockroachdb/errors/oserror"

	"github.com/tuplix/tuplix/cmd/tuplix/image/lean/errors/oserror"
)

func TestLikeTheirs(t *testing.T) {
	for _, err := range []error{
		nil, io.EOF, os.ErrExist, os.ErrNotExist, os.ErrPermission, os.ErrInvalid, syscall.ENOENT, syscall.EEXIST, syscall.EACCES, syscall.EPERM,
		syscall.ENOTEMPTY, &os.PathError{Err: syscall.ENOENT}, fmt.Errorf("x: %w", &os.PathError{Err: syscall.EEXIST}),
	} {
		if oserror.IsExist(err) != theirs.IsExist(err) || oserror.IsNotExist(err) != theirs.IsNotExist(err) || oserror.IsPermission(err) != theirs.IsPermission(err) {
			t.Errorf("%v: exist %v, not exist %v, permission %v", err, oserror.IsExist(err), oserror.IsNotExist(err), oserror.IsPermission(err))
		}
	}
	if oserror.ErrExist != theirs.ErrExist || oserror.ErrNotExist != theirs.ErrNotExist || oserror.ErrInvalid != theirs.ErrInvalid || oserror.ErrPermission != theirs.ErrPermission {
		t.Error("the errors are others")
	}
}
