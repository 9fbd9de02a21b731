// Package blockfs is a file system on a raw block device, made for Pebble: it
// implements vfs.FS. It owns the layout of the device, and refuses to touch a
// device that holds something else.
//
// It imports Pebble's vfs for the interface, and nothing of this module; the
// device comes in through the interface Device.
//
// # Guarantees
//
// Whatever subset of the unflushed sector writes reached the disk before power
// was lost, torn, dropped and reordered:
//
//   - A file that was synced is there, under its name, with at least the content
//     it had then. Its length is that of its last Sync, or of one in progress;
//     of logs see below.
//   - Changes of names happen in the order they were made, each whole or not at
//     all; Rename and Create over an existing file, too. Those made before a Sync
//     of any directory, or of the file concerned, are there after it.
//   - Nothing of a file's blocks is ever seen in another file.
//
// I/O errors are returned. Metadata is checksummed and what fails its checks is
// refused (ErrCorrupt), never guessed at; data is Pebble's to checksum. A failed
// flush ends all writing until the volume is opened anew, because nobody knows
// what the device dropped; reading goes on. A write that fails is returned to its
// caller, and the buffered data stays for another try.
//
// A full volume gives syscall.ENOSPC to whoever writes. Deleting needs no space:
// the metadata areas are set aside, and what grows them is refused while removing
// never is. Blocks of deleted files are reused once the deletion is durable; a
// writer in need makes it so.
//
// # How it works
//
// All metadata (names, lengths, extents) is held in memory, some 450 bytes per
// file. On the device it is an image plus a journal of changes (records); when
// the journal is full, the next commit writes a new image elsewhere. The maps are
// at the top of the files that encode them:
//
//	superblock.go  the device: superblocks, areas, data
//	area.go        a metadata area: headers, image, journal; checkpoints
//	journal.go     a commit; what counts as torn and what as damaged
//	record.go      the records of which images and commits are made
//
//	names.go, file.go       vfs.FS and vfs.File
//	tree.go                 applies records: one way, live and at loading
//	commit.go, barrier.go   makes changes durable, many at a time
//	writer.go, reader.go    data, between buffer and device
//	ahead.go, fetch.go      what is about to be read, in few large pieces
//	alloc.go, reclaim.go    free blocks, and when they become free
//	load.go, check.go       reading and proving a volume
//	limits.go               every bound
//
// Free space is not recorded: it is what no file owns. File data is written
// before the record that tells of it (dataPending forces a flush between them),
// and blocks are reused only after the record that frees them is durable. So at
// any moment the metadata on the device only points at data that is there.
//
// # Logs: one write and one flush
//
// Pebble's write-ahead log grows with every group commit, and recording the
// length each time would double the cost of a commit. Files created with Pebble's
// category for such logs are therefore kept differently (kindLog): blocks are
// taken a chunk at a time, zeroed, flushed, and recorded with a length that
// reaches to the end of the chunk, ahead of the writer:
//
//	          written and synced        zeros
//	├───────────────────────────────┼───────────────┤
//	                              size         recorded length
//
// Appending inside the chunk needs no metadata, so Sync is one data write and one
// flush. In this run the length is the true one; it is recorded at Close. After a
// crash the log has zeros at its end. Pebble expects that of a log: a zeroed
// chunk ends it. A new chunk (256 KiB, then as much as the log has, at most
// 1 MiB) costs one commit, and once Pebble recycles its logs there are none.
//
// ReuseForWrite of a log keeps blocks and content and sets the recorded length to
// all there is. Writing goes from the start over the old content, which Pebble
// tells apart by the log number in each chunk. The rest of the last sector is
// written as zeros instead of being read first: of a log that is written over,
// the old content may go sector by sector.
//
// Other files are recorded with their true length at each Sync: the data write, a
// flush, a journal write, a flush.
//
// # Using it
//
// A handle has no descriptor, so Pebble takes SyncTo to be missing and syncs a
// table every Options.BytesPerSync; there is no page cache to spare, so set that
// to something large. Encryption and the like are Devices that wrap a Device.
//
// # What it refuses
//
// Permissions, owners, access times, symbolic links, holes (they are filled with
// zeros), truncation (vfs.FS has none), two users of one device, and devices with
// sectors above 4 KiB.
package blockfs
