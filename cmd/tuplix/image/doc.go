// Package image turns an application into a bootable image.
//
// An image is one ELF file, linked by the stock Go toolchain: the
// application's own package main, everything it imports, and the system,
// which enters as a single blank import of board/pc. The import is added by a
// build overlay, so nothing in the application's module is edited. The linked
// file is then changed in two places (see pvh.go and inittask.go): it gets the
// note by which boot loaders find the entry of a PVH guest, and the system's
// packages are initialised before the application's. Unless it is to be plain,
// it is then compressed (compress.go): package unpack's code takes the place of
// the entries and passes on to them. Either way the result still runs as an
// ordinary Linux process.
//
// # Owns
//
// The workspace in the user's cache directory that joins the application's
// module with the system's; the overlay; the arguments of the go command; the
// edits to the ELF file, and the file around a compressed one.
//
// # May import
//
// The standard library, golang.org/x/mod and package unpack. It is host-side
// code and imports no package of the system: what the image holds is decided by
// board/pc.
//
// # Guarantees
//
// The application's directory and module are never written to. An output file
// appears complete or not at all. The order of package initialisation remains
// one that the language allows. Building the same unchanged program again
// costs no compilation and no linking.
//
// # Refuses
//
// Packages that are not commands, programs for other processors than amd64,
// and linked files it does not understand, each with an error that says what
// to do.
package image
