package user

import (
	"context"
	"errors"
	"path"
	"strings"
	"sync/atomic"

	"github.com/tuplix/tuplix/dbms/table"
)

// machine is the users of the machine that the program runs on.
var machine atomic.Pointer[Service]

// Provide makes s the users of the machine that the program runs on: from then on its
// system calls ask s. It is called once.
func Provide(s *Service) { machine.Store(s) }

// Asked reports whether the system calls of this machine ask for rights: Provide was
// called.
func Asked() bool { return machine.Load() != nil }

// Reach is what a system call is about to do with a file.
type Reach struct {
	Path string // without symbolic links, ".." and the like
	Read bool   // what is in it, or, of a directory, the names there
	Edit bool   // change it, make it or remove it
	Pass bool   // no more than look whether it is there, as who is on the way to what lies below
}

// MayHere returns nil where a caller may do with a file of this machine what reach says,
// and else a DeniedError; other errors are those of Check. Before Provide it returns nil:
// nobody is let in until there are users. It blocks as a view of the store does.
func MayHere(c Caller, reach Reach) error {
	s := machine.Load()
	if s == nil {
		return nil
	}
	return s.May(c, reach)
}

// May is MayHere of the store's own users.
func (s *Service) May(c Caller, reach Reach) error {
	return s.store.View(context.Background(), func(tx *table.Tx) error { return may(tx, c, reach) })
}

func may(tx *table.Tx, c Caller, reach Reach) error {
	o := Object{KindPath, reach.Path}
	if reach.Edit {
		if err := Check(tx, c, Write, o); err != nil {
			return err
		}
	}
	if !reach.Read && !reach.Pass {
		return nil
	}
	denied := Check(tx, c, Read, o)
	if !reach.Pass || reach.Read || !errors.Is(denied, ErrDenied) {
		return denied
	}
	if ok, err := leads(tx, c, reach.Path); ok || err != nil {
		return err
	}
	return denied
}

// leads tells whether something below a directory is the caller's to reach: the way there
// has to be open, as filepath.EvalSymlinks and the like look at each directory on it.
func leads(tx *table.Tx, c Caller, dir string) (bool, error) {
	below := strings.TrimSuffix(dir, "/") + "/"
	switch u, err := Users.Get(tx, c.User); {
	case err == nil && u.Home != "" && strings.HasPrefix(path.Clean(u.Home)+"/", below):
		return true, nil
	case err != nil && !errors.Is(err, table.ErrNotFound):
		return false, err
	}
	for principal, err := range principals(tx, c.User) {
		if err != nil {
			return false, err
		}
		for g, err := range Grants.Scan(tx, table.Prefix(principal, KindPath)) {
			if err != nil {
				return false, err
			}
			if strings.HasPrefix(g.Object, below) {
				return true, nil
			}
		}
	}
	return false, nil
}
