// Package file is the first file service: files and directories as keys in
// Pebble, behind the os package and everything else that expects a Unix file
// system.
//
// What it owns: the key range that begins with 'f' (key.go draws it), the
// records in it (record.go), the caches of inodes, names and blocks, and the
// options with which Pebble is opened on a small machine (open.go).
//
// What it may import: Pebble. Nothing of Linux but the errno and mode
// numbers of package syscall.
//
// What it guarantees:
//   - Every change is one Pebble batch, so that after a crash it is there
//     whole or not at all. A write of more than 256 KiB is several changes,
//     in the order of the file.
//   - Changes reach the disk in the order in which they were made: when Sync
//     returns, every change that returned before it was called is durable.
//     What nobody syncs is synced a few seconds later.
//   - Errors are of type syscall.Errno with the meaning that Linux gives them.
//   - Check proves that what is stored is consistent.
//
// What it refuses: names over 255 bytes and files over 2^62 bytes; access
// times are set by hand only (noatime); no extended attributes; permission
// bits are kept but judged by the caller.
//
// # Locks
//
// FS.tree is held by every change of the name space (create, link, unlink,
// rename), so these run one after another. Inode.mu guards one inode, for a
// directory its entries too; reading and writing of data hold it alone.
// Order: FS.tree, then Inode.mu, then the locks of the caches. Only the
// holder of FS.tree may hold more than one Inode.mu, so their order among
// each other is free; anyone else holds one at a time.
//
// The caches hold nothing that the database lacks: a change is committed
// first and then shown. The inode table refers weakly to its inodes, so that
// two copies of one can never exist while somebody uses the first, and an
// inode that nobody uses is the garbage collector's. The names cache holds
// inodes strongly and is bounded.
package file
