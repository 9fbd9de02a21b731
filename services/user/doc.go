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
//	os.grants   principal --right--> object, or all objects of a kind, or a path
//	os.members  principal is a member of principal (group, role), at any depth
//
// The package owns the tables os.grants and os.members. It may import dbms. It
// guarantees that nothing is allowed but by a row, except to root. It refuses to
// guess: a name that nobody knows has no rights.
//
// A context without a Caller is the program that was linked into the image, which
// shares its address space with the system and is root. So services that let
// others in must set the Caller first, before they call anything.
package user
