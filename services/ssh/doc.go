// Package ssh lets users in over the network, by the protocol of that name.
//
//	server, err := ssh.Open(ctx, store, users, config, ssh.Options{Handler: shell})
//
// It listens where the setting ssh.listen says, and nowhere without it. Users prove
// who they are to package user, by a key or a password; their session is a row of
// os.sessions, and ends when that row goes. What they then do is the Handler's,
// which runs in a context that carries the user as its caller.
//
//	connection ──► handshake, login (package user) ──► session row
//	   └─ channel "session": pty-req, env, then shell or exec ──► Handler
//	                         window-change, signal ──────────────► Session
//
// The server's key is made when it is first asked for, and kept in os.host_keys.
//
// The package owns that table, the listening socket and its connections. It may
// import dbms, and packages user and config. It guarantees that nobody reaches the
// Handler without a login, that a connection which does not log in ends after half a
// minute, and that their number is bounded. It refuses everything of the protocol
// but sessions: forwarding of ports, agents and X11, subsystems such as sftp, and
// options of keys.
package ssh
