package oserror

import (
	"errors"
	"io/fs"
)

// The errors of package io/fs.
var (
	ErrInvalid    = fs.ErrInvalid
	ErrPermission = fs.ErrPermission
	ErrExist      = fs.ErrExist
	ErrNotExist   = fs.ErrNotExist
)

// IsPermission tells whether the cause is missing permission.
func IsPermission(err error) bool { return errors.Is(err, fs.ErrPermission) }

// IsExist tells whether the cause is something that exists.
func IsExist(err error) bool { return errors.Is(err, fs.ErrExist) }

// IsNotExist tells whether the cause is something that does not exist.
func IsNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
