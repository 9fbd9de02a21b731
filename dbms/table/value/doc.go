// Package value has the types that a column can be of, and a Go type that holds
// a value of any of them: what code works with that knows its tables only at run
// time, such as SQL, the catalog's conditions, and checks.
//
// It owns the list of types, their names, the text of their values, and how a
// value of one becomes one of another (Convert). Values are comparable with ==,
// which agrees with Compare except for Float64, whose NaN equals itself in
// Compare and whose -0 equals 0 there.
//
// It imports package key of Tuplix, for decimals, which are kept encoded. It
// guarantees that Parse reads back what Literal writes, and refuses conversions
// that lose anything, except that times are cut to microseconds.
package value
