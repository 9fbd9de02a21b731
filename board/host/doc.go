// Package host composes the system's storage on a Linux host, in an ordinary
// process: a file, a block device of the host, or memory; encrypted or not; with
// blockfs on it, and a store on that.
//
// It owns the choice of the parts and the order of opening and closing them. It
// may import everything below; no package of the system imports it.
//
// It guarantees that two processes never use one file (a lock of the host's
// kernel), that a file which is neither blank nor ours is left as it is, as is an
// encrypted one without its key, and that a file which it made and could not
// finish is removed. Files are sparse, of mode 0600, and the same as disk images
// of `tuplix run`: either opens those of the other.
//
// It refuses to make a file without being told its size, and a key for a device
// that is not encrypted: going on would write in the clear what somebody wants to
// be secret.
package host
