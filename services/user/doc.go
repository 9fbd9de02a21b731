// Package user says who acts, and what they may do.
//
// Every procedure of a service runs on behalf of a Caller, which the context
// carries. Whoever lets somebody in (a login, a connection, the start of a task)
// puts the Caller there by With; everything below takes it by From, signs its
// transactions with Caller.Op, and asks Check before it does what was asked for.
//
//	caller := user.From(ctx)
//	_, err := s.db.Update(ctx, caller.Op("task.Submit"), func(tx *table.Tx) error {
//		if err := user.Check(tx, caller, user.Submit, user.Queue(name)); err != nil {
//			return err
//		}
//		...
//	})
//
// Check is part of the transaction: a right that is taken away holds from that
// commit on, not from some later look.
//
//	os.users ◄─┬─ os.passwords, os.keys: how they prove who they are
//	           └─ os.sessions: that they have, and may act until it ends
//	os.members  principal is a member of principal (group, role), at any depth
//	os.grants   principal --right--> object, or all objects of a kind, or a path
//
// A principal is a user, a group or a role; they share one space of names.
//
// # Logging in
//
// There is no default password. The first boot gives root the key or the password
// that it was told, or makes one for one use and shows it on the console. Passwords
// are kept as argon2id, apart from the users; of sessions' secrets only a hash is
// kept. Wrong passwords make the next attempt wait, longer each time.
//
// The package owns the tables above. It may import dbms. It guarantees that nothing
// is allowed but by a row, except to root, and that what is removed leaves no right
// behind for another of its name. It refuses to guess: a name that nobody knows has
// no rights.
//
// A context without a Caller is the program that was linked into the image, which
// shares its address space with the system and is root. So services that let
// others in must set the Caller first, before they call anything.
package user
