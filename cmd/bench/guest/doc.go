// Command guest holds the small measurements of the machine benchmark: an
// ordinary Go program that runs in the guest, the same on Tuplix and on Linux.
//
//	guest -measure LIST [-dir DIRECTORY]
//	guest -serve ADDRESS [-busy N]
//
// LIST names measurements, separated by commas. Each prints one line, "result
// NAME VALUE"; the values' units are in the table below. With -serve it is the
// far end of the TCP measurements; -busy has N goroutines calculate meanwhile.
//
//	pingpong    ns for a round trip between two goroutines
//	threadhop   ns for a round trip between two goroutines on two threads
//	now         ns for time.Now
//	filewrite   us to create a file, write 4 KB and sync it
//	fileread    us to open a file of 4 KB and read it
//	filestat    us for stat of a file in use
//	overwrite   us to write 4 KB of a file of 1 MB, not synced
//	create      us to create an empty file and sync it
//	unlink      us to remove a small file and sync the directory
//	seqwrite    MB/s of writing a file of 1 GB and syncing it
//	seqread     MB/s of reading it, after seqwrite
//	aggregate   ms to add up the sizes of 100,000 files by owner: by a scan of the
//	            table of inodes, or on Linux by find and awk
//	hash        MB/s of SHA-256 on all CPUs together
//
// # Owns
//
// What is measured inside a guest, and the line format.
//
// # May import
//
// The standard library, and for the table of inodes package dbms/store and what declares
// the table.
//
// # Guarantees
//
// Each measurement runs long enough (a second or so) for the clock's grain not
// to matter. Its files are removed, but for those of aggregate.
//
// # Refuses
//
// Unknown measurements.
package main
