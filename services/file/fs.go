package file

// FS is a mounted file system.
type FS struct{}
