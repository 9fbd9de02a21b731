package errors

import (
	"errors"
	"fmt"
)

// New returns an error with that text.
func New(text string) error { return errors.New(text) }

// Newf formats an error; %w wraps one.
func Newf(format string, args ...any) error { return fmt.Errorf(format, args...) }

// Errorf is Newf.
func Errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }

// Is is that of the standard library.
func Is(err, target error) bool { return errors.Is(err, target) }

// As is that of the standard library.
func As(err error, target any) bool { return errors.As(err, target) }

// Join is that of the standard library.
func Join(errs ...error) error { return errors.Join(errs...) }

// UnwrapAll returns the innermost error of a chain.
func UnwrapAll(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// Safe returns a value to be formatted: nothing is kept from anybody here.
func Safe(v any) any { return v }

// Wrap puts a text before that of an error; nil stays nil.
func Wrap(err error, text string) error {
	if err == nil || text == "" {
		return err
	}
	return &wrapped{err, text}
}

// Wrapf is Wrap with a formatted text.
func Wrapf(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return Wrap(err, fmt.Sprintf(format, args...))
}

type wrapped struct {
	error
	text string
}

func (w *wrapped) Error() string { return w.text + ": " + w.error.Error() }
func (w *wrapped) Unwrap() error { return w.error }

// Mark makes an error one that is also reference, to Is; nil stays nil.
func Mark(err, reference error) error {
	if err == nil {
		return nil
	}
	return &marked{err, reference}
}

type marked struct {
	error
	reference error
}

func (m *marked) Unwrap() error        { return m.error }
func (m *marked) Is(target error) bool { return errors.Is(m.reference, target) }

// CombineErrors returns the first of two errors that there is. With both, the second is
// shown by %+v only.
func CombineErrors(err, other error) error {
	if err == nil {
		return other
	}
	return WithSecondaryError(err, other)
}

// WithSecondaryError keeps another error beside one, for %+v; nil stays nil.
func WithSecondaryError(err, other error) error {
	if err == nil || other == nil {
		return err
	}
	return &combined{err, other}
}

type combined struct {
	error
	other error
}

func (c *combined) Unwrap() error { return c.error }

// Format is of fmt.Formatter.
func (c *combined) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), c.error)
	if verb == 'v' && f.Flag('+') {
		fmt.Fprintf(f, " (also: %+v)", c.other)
	}
}

// AssertionFailedf formats an error that says that the program is wrong.
func AssertionFailedf(format string, args ...any) error {
	return &assertion{fmt.Errorf(format, args...)}
}

type assertion struct{ error }

func (a *assertion) Unwrap() error { return errors.Unwrap(a.error) }

// IsAssertionFailure tells whether an error is of AssertionFailedf.
func IsAssertionFailure(err error) bool {
	_, ok := err.(*assertion)
	return ok
}

// WithStack returns the error.
func WithStack(err error) error { return err }

// WithDetailf returns the error.
func WithDetailf(err error, _ string, _ ...any) error { return err }

// WithHintf returns the error.
func WithHintf(err error, _ string, _ ...any) error { return err }

// WithSafeDetails returns the error.
func WithSafeDetails(err error, _ string, _ ...any) error { return err }
