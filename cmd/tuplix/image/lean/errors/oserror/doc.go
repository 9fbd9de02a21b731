// Package oserror stands in images for github.com/cockroachdb/errors/oserror. It owns
// nothing, may import the standard library only, guarantees the answers of that package
// for every error that wraps one of package io/fs or a number of the system, and refuses
// nothing.
package oserror
