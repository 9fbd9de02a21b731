// Package cmdline is the language of the boot command line: what a loader, or
// the person behind it, tells the system and the program that it runs.
//
// A command line is words separated by spaces:
//
//	console=ttyS0 panic=poweroff env.HOME=/root arg=-n arg=two%20words
//
//	NAME=VALUE    an option of the system, as is NAME alone (an empty value)
//	env.NAME=V    the variable NAME of the program's environment
//	arg=V         one argument of the program; the order is kept
//	--            each further word is one argument of the program
//
// In names, values and arguments %XX (two hexadecimal digits) stands for a
// byte that could not stand there itself: spaces, control characters, bytes
// from 0x7f up and the percent sign, and the equals sign in names. A single
// percent sign as a whole argument after -- is the empty string.
//
// Loaders that tell of devices append words (QEMU's microvm and Firecracker:
// virtio_mmio.device=512@0xfeb00000:5). After -- those would be taken for
// arguments, which is why String writes arg= and never --.
//
// # Owns
//
// Both directions of the format: Parse in the guest, String on the host. What
// the options mean is the business of those who read them.
//
// # May import
//
// The standard library's pure packages. It runs before there is a file system
// and on the host alike.
//
// # Guarantees
//
// Parse(l.String()) gives l back. Parse never fails as a whole: it returns
// what can be understood, and an error for the rest, so that a machine with a
// typing error in its command line still boots and says so.
//
// # Refuses
//
// NUL bytes, which neither arguments nor environments can hold.
package cmdline
