// Package pgtest runs a private PostgreSQL server for tests: a new cluster in a
// directory of its own, reached by a Unix socket there and by nothing else. Only
// the user who runs the tests may connect (peer authentication); there is no
// password and no TCP port.
//
// PostgreSQL refuses to run as root. If the tests do, the server runs as the
// user postgres, or nobody, and root connects.
//
// It imports nothing of Tuplix, guarantees that the server and its directory are
// gone after Stop, and refuses nothing but what the server refuses. Data does not
// outlive a crash of the host, since fsync is off, unless the caller sets it.
package pgtest
