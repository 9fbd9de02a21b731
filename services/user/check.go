package user

import (
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"

	"github.com/tuplix/tuplix/dbms/table"
)

// Kind is a sort of object that rights are about.
type Kind string

// The kinds.
const (
	KindTable   Kind = "table"
	KindPath    Kind = "path" // of a file or directory, absolute
	KindQueue   Kind = "queue"
	KindProgram Kind = "program"
	KindMailbox Kind = "mailbox"
	KindTopic   Kind = "topic"
	KindSystem  Kind = "system" // parts of the system: "net", "user", "config", ...
)

// Right is something that may be done to an object.
type Right string

// The rights. Admin of an object includes all others.
const (
	Read   Right = "read"
	Write  Right = "write"
	Run    Right = "run"    // a program
	Submit Right = "submit" // tasks to a queue, messages to a mailbox or topic
	Claim  Right = "claim"  // tasks of a queue, messages of a mailbox or topic
	Admin  Right = "admin"
)

// Every is the name that stands for all objects of a kind.
const Every = "*"

// Object is what a right is about.
type Object struct {
	Kind Kind
	Name string
}

func (o Object) String() string { return string(o.Kind) + " " + o.Name }

// maxDepth is how deep groups and roles are followed. It also ends circles.
const maxDepth = 16

// ErrDenied is the cause of every DeniedError.
var ErrDenied = errors.New("permission denied")

// DeniedError says who may not do what.
type DeniedError struct {
	Caller Caller
	Right  Right
	Object Object
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("user %q has no right to %s %s", e.Caller.User, e.Right, e.Object)
}

// Unwrap makes errors.Is(err, ErrDenied) work.
func (e *DeniedError) Unwrap() error { return ErrDenied }

// Check returns nil if the caller has the right, a DeniedError if not, and other
// errors where the tables cannot be read. Root is not looked up. A user has all rights
// to their directory and what is below it.
func Check(tx *table.Tx, c Caller, r Right, o Object) error {
	if c.User == Root {
		return nil
	}
	var denied error = &DeniedError{c, r, o}
	if c.User == "" {
		return denied
	}
	if o.Kind == KindPath {
		if at, err := atHome(tx, c.User, o.Name); at || err != nil {
			return err
		}
	}
	for principal, err := range principals(tx, c.User) {
		if err != nil {
			return err
		}
		if ok, err := granted(tx, principal, r, o); ok || err != nil {
			return err
		}
	}
	return denied
}

// principals are a user, and all groups and roles whose rights are the user's.
func principals(tx *table.Tx, name string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		seen := []string{name}
		for level, depth := seen, 0; len(level) > 0 && depth <= maxDepth; depth++ {
			var next []string
			for _, principal := range level {
				if !yield(principal, nil) {
					return
				}
				for m, err := range Members.Scan(tx, table.Prefix(principal)) {
					if err != nil {
						yield("", err)
						return
					}
					if !slices.Contains(seen, m.Of) {
						seen, next = append(seen, m.Of), append(next, m.Of)
					}
				}
			}
			level = next
		}
	}
}

// atHome tells whether a path is a user's directory or below it.
func atHome(tx *table.Tx, name, of string) (bool, error) {
	u, err := Users.Get(tx, name)
	if errors.Is(err, table.ErrNotFound) || err == nil && u.Home == "" {
		return false, nil
	}
	return err == nil && slices.Contains(names(Object{KindPath, of}), path.Clean(u.Home)), err
}

// granted looks for a grant to the principal itself.
func granted(tx *table.Tx, principal string, r Right, o Object) (bool, error) {
	for _, name := range names(o) {
		for _, right := range []Right{r, Admin} {
			_, err := Grants.Get(tx, principal, o.Kind, right, name)
			if !errors.Is(err, table.ErrNotFound) {
				return err == nil, err
			}
		}
	}
	return false, nil
}

// names are those under which a grant would include the object.
func names(o Object) []string {
	list := []string{Every, o.Name}
	if o.Kind != KindPath {
		return list
	}
	list[1] = path.Clean("/" + o.Name)
	for p := list[1]; p != "/"; {
		p = path.Dir(p)
		list = append(list, p)
	}
	return list
}
