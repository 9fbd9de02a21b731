// Package file is the file service: files and directories as rows of the system's
// store, behind the os package and everything else that expects a Unix file system.
//
// What it owns: the tables in tables.go, and what is in memory of them: inodes, names,
// pages of files, and changes that are not yet stored (journal.go). The store is the
// caller's.
//
// What it may import: dbms. Nothing of Linux but the errno and mode numbers of
// package syscall.
//
//	os.inodes    what stat shows            os.extents  where 64 KiB of a file are
//	os.entries   a name in a directory      os.data     up to 64 KiB of contents
//	os.xattrs    extended attributes        os.freed    data that only the past has
//	os.shares    data that several have     os.orphans  deleted, and still open
//	os.loaded    data on its way             os.locks    advisory locks that are held
//	os.files     counters
//
// What it guarantees:
//   - Every call is one change, so that after a crash it is there whole or not at
//     all. A write of more than 256 KiB is several changes, in the order of the file.
//   - Changes reach the disk in the order in which they were made: when Sync
//     returns, every change that returned before it was called is durable.
//     What nobody syncs is synced a few seconds later.
//   - Errors are of type syscall.Errno with the meaning that Linux gives them.
//   - What files were like at any moment can be read until the horizon of their
//     tables passes it. Their data is not copied for that.
//   - Check proves that what is stored is consistent.
//
// What it refuses: names over 255 bytes and files over 2^62 bytes; access
// times are set by hand only (noatime); permission bits are kept but judged by the
// caller. Who writes to its tables by other ways than this package confuses what it
// has in memory.
//
// # Changes
//
// A call changes what is in memory, and a group of many calls becomes one
// transaction: journal.go draws it, and docs/decisions/0022 compares it with a
// transaction for each call. Reads never wait for the store to be written. A row of
// os.data is written once and never changed: what is written over goes to another row,
// and os.extents says where. So the past needs nothing but old rows of os.extents, and
// data goes when no readable past refers to it (collect.go). Copies by reference share
// it (share.go). Whole chunks of a long write are stored before their group, in tables
// of the store that are made beside its log (longwrite.go); to read them before their group
// is stored may have to wait for the device.
//
// # Restores
//
// What differs below a path is found first (restorefind.go, by what has changed or by comparing
// all there is), and then made what it was (restoreapply.go), in one transaction or in several
// of which all take effect or none (restoresteps.go). Of all files it is one record.
//
// # Locks
//
// Inode.writing is held by calls that write or cut a file, which may be several
// changes. A change holds the journal's gate, shared. FS.tree is held by every change
// of the name space (create, link, unlink, rename), so these run one after another.
// Inode.mu guards one inode; reading and writing of data hold it alone. Order:
// FS.collecting, journal.commit, Inode.writing, journal.gate, FS.tree, Inode.mu, then
// loads.mu, journal.mu and the locks of the caches. Only the holder of FS.tree may hold more
// than one Inode.mu, so their order among each other is free; anyone else holds one at
// a time. Who waits for a group to be stored holds none of gate, tree and Inode.mu.
//
// The inode table refers weakly to its inodes, so that two copies of one can never
// exist while somebody uses the first, and an inode that nobody uses is the garbage
// collector's; a group holds those that it has changed. The names cache holds inodes
// strongly and is bounded.
package file
