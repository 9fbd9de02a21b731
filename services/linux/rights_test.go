package linux

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"github.com/tuplix/tuplix/dbms/store"
	tables "github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/user"
)

// newGuarded makes a system with a user, ann, and files of hers and of others. What it
// answers her follows from rows.
func newGuarded(t testing.TB) *testSystem {
	t.Helper()
	st, err := store.Open(t.Context(), vfs.NewMem(), store.Options{}, user.Tables()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	users, err := user.Open(t.Context(), st, user.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = st.Update(t.Context(), nil, func(tx *tables.Tx) error {
		err := user.Users.Insert(tx, &user.User{Name: "ann", ID: 1000, Home: "/home/ann"})
		for object, right := range map[string]user.Right{"/srv/read": user.Read, "/srv/write": user.Write, "/srv/all": user.Admin} {
			err = errors.Join(err, user.Grants.Insert(tx, &user.Grant{Principal: "ann", Kind: user.KindPath, Right: right, Object: object}))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newSystem(t, func(c *Config) { c.Rights = users.May })
	for _, dir := range []string{"/secret", "/secret/dir", "/home/ann", "/home/ann/dir", "/srv", "/srv/read", "/srv/write", "/srv/all", "/srv/other"} {
		if _, e := s.call(unix.SYS_MKDIR, dir, 0o755); e != 0 && e != syscall.EEXIST {
			t.Fatal(dir, e)
		}
	}
	for _, file := range []string{"/secret/file", "/home/ann/file", "/srv/read/file", "/srv/write/file", "/srv/all/file", "/etc/open", "/etc/closed"} {
		s.must(unix.SYS_CLOSE, s.open(file, unix.O_CREAT|unix.O_WRONLY, 0o644))
	}
	s.must(unix.SYS_CHMOD, "/etc/closed", 0o600)
	s.must(unix.SYS_SYMLINK, "/secret/file", "/home/ann/link")
	s.must(unix.SYS_SYMLINK, "/home/ann/file", "/secret/link")
	return s
}

// as makes calls as a user.
func (s *testSystem) as(name string, f func()) {
	user.Do(s.t.Context(), user.Caller{User: name, Program: "test"}, func(context.Context) { f() })
}

// pathCall is a system call that has a path, and what for.
type pathCall struct {
	name  string
	want  access
	which string // "file", "dir" or "new": what the path has to name
	do    func(s *testSystem, path string) syscall.Errno
}

func pathCalls() []pathCall {
	call := func(nr uintptr, arguments ...argument) func(*testSystem, string) syscall.Errno {
		return func(s *testSystem, path string) syscall.Errno {
			given := append([]argument(nil), arguments...)
			for i := range given {
				if given[i] == "PATH" {
					given[i] = path
				}
			}
			_, e := s.call(nr, given...)
			return e
		}
	}
	opened := func(flags int) func(*testSystem, string) syscall.Errno {
		return func(s *testSystem, path string) syscall.Errno {
			fd, e := s.call(unix.SYS_OPENAT, atCWD, path, flags, 0o644)
			if e == 0 {
				s.must(unix.SYS_CLOSE, fd)
			}
			return e
		}
	}
	buffer := make([]byte, 4096) // for attributes and texts
	return []pathCall{
		{"open to read", toRead, "file", opened(unix.O_RDONLY)},
		{"open to write", toEdit, "file", opened(unix.O_WRONLY)},
		{"open for both", toTake, "file", opened(unix.O_RDWR)},
		{"open to cut", toTake, "file", opened(unix.O_RDONLY | unix.O_TRUNC)},
		{"open to create, there", toEdit, "file", opened(unix.O_CREAT | unix.O_WRONLY)},
		{"open to create, there, to read", toRead, "file", opened(unix.O_CREAT | unix.O_RDONLY)},
		{"open to create", toEdit, "new", opened(unix.O_CREAT | unix.O_WRONLY)},
		{"open to create only", toEdit, "new", opened(unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY)},
		{"open a directory", toRead, "dir", opened(unix.O_RDONLY | unix.O_DIRECTORY)},
		{"open without a name", toEdit, "dir", opened(unix.O_TMPFILE | unix.O_RDWR)},
		{"open the path", toRead, "file", opened(unix.O_PATH)},
		{"creat", toEdit, "file", call(unix.SYS_CREAT, "PATH", 0o644)},
		{"open", toRead, "file", call(unix.SYS_OPEN, "PATH", 0, 0)},
		{"stat", toRead, "file", call(unix.SYS_STAT, "PATH", buffer)},
		{"lstat", toRead, "file", call(unix.SYS_LSTAT, "PATH", buffer)},
		{"newfstatat", toRead, "file", call(unix.SYS_NEWFSTATAT, atCWD, "PATH", buffer, 0)},
		{"statx", toRead, "file", call(unix.SYS_STATX, atCWD, "PATH", 0, 0, buffer)},
		{"statfs", toRead, "file", call(unix.SYS_STATFS, "PATH", buffer)},
		{"access", toRead, "file", call(unix.SYS_ACCESS, "PATH", unix.R_OK)},
		{"access to write", toEdit, "file", call(unix.SYS_FACCESSAT, atCWD, "PATH", unix.W_OK)},
		{"faccessat2", toRead, "file", call(unix.SYS_FACCESSAT2, atCWD, "PATH", unix.F_OK, 0)},
		{"chmod", toEdit, "file", call(unix.SYS_CHMOD, "PATH", 0o600)},
		{"fchmodat", toEdit, "file", call(unix.SYS_FCHMODAT, atCWD, "PATH", 0o600)},
		{"fchmodat2", toEdit, "file", call(sysFchmodat2, atCWD, "PATH", 0o600, 0)},
		{"chown", toEdit, "file", call(unix.SYS_CHOWN, "PATH", 1, 1)},
		{"lchown", toEdit, "file", call(unix.SYS_LCHOWN, "PATH", 1, 1)},
		{"fchownat", toEdit, "file", call(unix.SYS_FCHOWNAT, atCWD, "PATH", 1, 1, 0)},
		{"utimensat", toEdit, "file", call(unix.SYS_UTIMENSAT, atCWD, "PATH", 0, 0)},
		{"utimes", toEdit, "file", call(unix.SYS_UTIMES, "PATH", 0)},
		{"futimesat", toEdit, "file", call(unix.SYS_FUTIMESAT, atCWD, "PATH", 0)},
		{"truncate", toEdit, "file", call(unix.SYS_TRUNCATE, "PATH", 0)},
		{"setxattr", toEdit, "file", call(unix.SYS_SETXATTR, "PATH", "user.x", []byte("1"), 1, 0)},
		{"lsetxattr", toEdit, "file", call(unix.SYS_LSETXATTR, "PATH", "user.x", []byte("1"), 1, 0)},
		{"getxattr", toRead, "file", call(unix.SYS_GETXATTR, "PATH", "user.x", buffer, len(buffer))},
		{"lgetxattr", toRead, "file", call(unix.SYS_LGETXATTR, "PATH", "user.x", buffer, len(buffer))},
		{"listxattr", toRead, "file", call(unix.SYS_LISTXATTR, "PATH", buffer, len(buffer))},
		{"llistxattr", toRead, "file", call(unix.SYS_LLISTXATTR, "PATH", buffer, len(buffer))},
		{"removexattr", toEdit, "file", call(unix.SYS_REMOVEXATTR, "PATH", "user.x")},
		{"lremovexattr", toEdit, "file", call(unix.SYS_LREMOVEXATTR, "PATH", "user.y")},
		{"inotify_add_watch", toRead, "file", func(s *testSystem, path string) syscall.Errno {
			fd := s.must(unix.SYS_INOTIFY_INIT1, 0)
			defer s.must(unix.SYS_CLOSE, fd)
			_, e := s.call(unix.SYS_INOTIFY_ADD_WATCH, fd, path, unix.IN_MODIFY)
			return e
		}},
		{"link to it", toTake, "file", func(s *testSystem, path string) syscall.Errno {
			_, e := s.call(unix.SYS_LINK, path, "/home/ann/linked")
			if e == 0 {
				s.must(unix.SYS_UNLINK, "/home/ann/linked")
			}
			return e
		}},
		{"exchange", toTake, "file", func(s *testSystem, path string) syscall.Errno {
			_, e := s.call(unix.SYS_RENAMEAT2, atCWD, "/home/ann/file", atCWD, path, unix.RENAME_EXCHANGE)
			return e
		}},
		{"rename from", toTake, "file", func(s *testSystem, path string) syscall.Errno {
			_, e := s.call(unix.SYS_RENAME, path, "/home/ann/renamed")
			if e == 0 {
				s.must(unix.SYS_RENAME, "/home/ann/renamed", path)
			}
			return e
		}},
		{"connect", toEdit, "socket", socketCall(unix.SYS_CONNECT)},
		{"bind", toEdit, "new", socketCall(unix.SYS_BIND)},
		{"mkdir", toEdit, "new", call(unix.SYS_MKDIR, "PATH", 0o755)},
		{"mkdirat", toEdit, "new", call(unix.SYS_MKDIRAT, atCWD, "PATH", 0o755)},
		{"mknod", toEdit, "new", call(unix.SYS_MKNOD, "PATH", unix.S_IFIFO|0o644, 0)},
		{"mknodat", toEdit, "new", call(unix.SYS_MKNODAT, atCWD, "PATH", unix.S_IFREG|0o644, 0)},
		{"symlink", toEdit, "new", call(unix.SYS_SYMLINK, "to", "PATH")},
		{"symlinkat", toEdit, "new", call(unix.SYS_SYMLINKAT, "to", atCWD, "PATH")},
		{"link from", toEdit, "new", call(unix.SYS_LINK, "/home/ann/file", "PATH")},
		{"linkat", toEdit, "new", call(unix.SYS_LINKAT, atCWD, "/home/ann/file", atCWD, "PATH", 0)},
		{"rename to", toEdit, "new", func(s *testSystem, path string) syscall.Errno {
			s.must(unix.SYS_CLOSE, s.open("/home/ann/moves", unix.O_CREAT|unix.O_WRONLY, 0o644))
			_, e := s.call(unix.SYS_RENAMEAT, atCWD, "/home/ann/moves", atCWD, path)
			return e
		}},
		{"rmdir", toEdit, "gone dir", call(unix.SYS_RMDIR, "PATH")},
		{"unlinkat, of a directory", toEdit, "gone dir", call(unix.SYS_UNLINKAT, atCWD, "PATH", unix.AT_REMOVEDIR)},
		{"unlink", toEdit, "gone file", call(unix.SYS_UNLINK, "PATH")},
		{"unlinkat", toEdit, "gone file", call(unix.SYS_UNLINKAT, atCWD, "PATH", 0)},
		{"readlink", toRead, "link", call(unix.SYS_READLINK, "PATH", buffer, len(buffer))},
		{"readlinkat", toRead, "link", call(unix.SYS_READLINKAT, atCWD, "PATH", buffer, len(buffer))},
		{"chdir", toRead, "dir", func(s *testSystem, path string) syscall.Errno {
			_, e := s.call(unix.SYS_CHDIR, path)
			if e == 0 {
				s.must(unix.SYS_CHDIR, "/home/ann")
			}
			return e
		}},
	}
}

// socketCall gives a socket a path, as its own or as that of another.
func socketCall(nr uintptr) func(*testSystem, string) syscall.Errno {
	return func(s *testSystem, path string) syscall.Errno {
		fd := s.must(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0)
		defer s.must(unix.SYS_CLOSE, fd)
		name := append([]byte{unix.AF_UNIX, 0}, path+"\x00"...)
		_, e := s.call(nr, fd, name, len(name))
		return e
	}
}

// prepare makes what the path of a call is to name, as root, and returns the path.
func (c *pathCall) prepare(s *testSystem, dir string) string {
	path := dir + "/" + strings.NewReplacer(" ", "-", ",", "").Replace(c.name)
	s.call(unix.SYS_UNLINK, path)
	s.call(unix.SYS_RMDIR, path)
	switch c.which {
	case "file", "gone file", "socket":
		s.must(unix.SYS_CLOSE, s.open(path, unix.O_CREAT|unix.O_WRONLY, 0o644))
	case "dir", "gone dir":
		s.must(unix.SYS_MKDIR, path, 0o755)
	case "link":
		s.must(unix.SYS_SYMLINK, "to", path)
	}
	return path
}

// TestRightsOfCalls has each call that takes a path tried where the caller may do nothing,
// read, write, or both, by several ways to name the place.
func TestRightsOfCalls(t *testing.T) {
	s := newGuarded(t)
	for _, c := range pathCalls() {
		for dir, may := range map[string]access{"/secret": 0, "/srv/other": 0, "/srv/read": toRead, "/srv/write": toEdit, "/srv/all": toTake, "/home/ann": toTake} {
			// An absolute path, one with dots, and one through a symbolic link to the directory.
			s.call(unix.SYS_UNLINK, "/home/ann/way")
			s.must(unix.SYS_SYMLINK, dir, "/home/ann/way")
			for _, way := range []string{dir, "/home/ann/dir/../../.." + dir, "/home/ann/way"} {
				path := strings.Replace(c.prepare(s, dir), dir, way, 1)
				var got syscall.Errno
				s.as("ann", func() { got = c.do(s, path) })
				if allowed := c.want&^may == 0; allowed != (got != syscall.EACCES) {
					t.Errorf("%s of %s by who may %b there: %v", c.name, path, may, got)
				}
			}
		}
	}
}

// TestRightsOfCallsAsRoot has the same calls succeed for root, so that what fails above
// fails for want of rights.
func TestRightsOfCallsAsRoot(t *testing.T) {
	s := newGuarded(t)
	for _, c := range pathCalls() {
		path := c.prepare(s, "/secret")
		s.as(user.Root, func() {
			switch e := c.do(s, path); {
			case e == 0, e == syscall.ECONNREFUSED && c.name == "connect":
			case e == syscall.ENODATA && strings.Contains(c.name, "xattr"):
			default:
				t.Errorf("%s: %v", c.name, e)
			}
		})
	}
}

// TestRights are the rest of what the rules say.
func TestRights(t *testing.T) {
	s := newGuarded(t)
	st := make([]byte, 256)
	secret := s.open("/secret", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	file := s.open("/secret/file", unix.O_RDONLY, 0)
	home := s.open("/home/ann", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	s.as("ann", func() {
		// What is there, and what is not, where she may not look.
		for _, path := range []string{"/secret/none", "/secret/none/x", "/secret/file/x", "/none", "/home/ann/link"} {
			s.fails(syscall.EACCES, unix.SYS_STAT, path, st)
		}
		s.fails(syscall.EACCES, unix.SYS_MKDIR, "/secret/none/x", 0o755)
		s.fails(syscall.EACCES, unix.SYS_OPENAT, atCWD, "/secret/file", unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o644)
		s.fails(syscall.ENOENT, unix.SYS_STAT, "/home/ann/none", st)
		s.fails(syscall.ENOTDIR, unix.SYS_STAT, "/home/ann/file/x", st)
		s.must(unix.SYS_LSTAT, "/home/ann/link", st)
		// The way to what she may reach is open, no more.
		for _, path := range []string{"/", "/home", "/srv"} {
			s.must(unix.SYS_STAT, path, st)
			s.fails(syscall.EACCES, unix.SYS_OPENAT, atCWD, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
			s.fails(syscall.EACCES, unix.SYS_CHMOD, path, 0o777)
		}
		// What the system is made of.
		for _, path := range []string{"/etc", "/etc/open", "/proc/meminfo", "/dev", "/sys"} {
			s.must(unix.SYS_CLOSE, s.open(path, unix.O_RDONLY, 0))
		}
		s.must(unix.SYS_CLOSE, s.open("/dev/null", unix.O_RDWR|unix.O_CREAT, 0o666))
		s.must(unix.SYS_CLOSE, s.open("/dev/urandom", unix.O_RDONLY, 0))
		s.fails(syscall.EACCES, unix.SYS_OPENAT, atCWD, "/etc/closed", unix.O_RDONLY, 0)
		s.fails(syscall.EACCES, unix.SYS_OPENAT, atCWD, "/etc/open", unix.O_WRONLY, 0)
		s.fails(syscall.ENOENT, unix.SYS_OPENAT, atCWD, "/etc/none", unix.O_RDONLY, 0)
		// Descriptors of others, as directories to start from and to change what they are of.
		s.fails(syscall.EACCES, unix.SYS_OPENAT, secret, "file", unix.O_RDONLY, 0)
		s.fails(syscall.EACCES, unix.SYS_MKDIRAT, secret, "new", 0o755)
		s.must(unix.SYS_CLOSE, s.must(unix.SYS_OPENAT, home, "file", unix.O_RDONLY, 0))
		for _, fd := range []int{secret, file} {
			s.fails(syscall.EACCES, unix.SYS_FCHMOD, fd, 0o777)
			s.fails(syscall.EACCES, unix.SYS_FCHOWN, fd, 1, 1)
			s.fails(syscall.EACCES, unix.SYS_UTIMENSAT, fd, 0, 0, 0)
			s.fails(syscall.EACCES, unix.SYS_FSETXATTR, fd, "user.x", []byte("1"), 1, 0)
			s.fails(syscall.EACCES, unix.SYS_FREMOVEXATTR, fd, "user.x")
			s.fails(syscall.EACCES, unix.SYS_FCHOWNAT, fd, "", 1, 1, unix.AT_EMPTY_PATH)
			s.fails(syscall.EACCES, unix.SYS_LINKAT, fd, "", atCWD, "/home/ann/stolen", unix.AT_EMPTY_PATH)
			s.fails(syscall.EACCES, unix.SYS_OPENAT, atCWD, fmt.Sprint("/proc/self/fd/", fd), unix.O_RDONLY, 0)
		}
		s.must(unix.SYS_FCHMOD, home, 0o700)
		own := s.open("/home/ann/file", unix.O_RDONLY, 0)
		s.must(unix.SYS_FCHMOD, own, 0o600)
		s.must(unix.SYS_CLOSE, s.open(fmt.Sprint("/proc/self/fd/", own), unix.O_RDWR, 0))
		s.must(unix.SYS_RENAME, "/home/ann/file", "/home/ann/moved")
		s.must(unix.SYS_FCHMOD, own, 0o640)
		s.must(unix.SYS_CLOSE, own)
	})
	// A name that others move into her directory is hers, and out of it no more.
	s.must(unix.SYS_RENAME, "/secret/dir", "/home/ann/given")
	s.as("ann", func() { s.must(unix.SYS_CHDIR, "/home/ann/given") })
	s.must(unix.SYS_RENAME, "/home/ann/given", "/secret/dir")
	s.as("ann", func() { s.fails(syscall.EACCES, unix.SYS_MKDIR, "new", 0o755) })
	s.must(unix.SYS_CHDIR, "/")
	s.must(unix.SYS_CHDIR, "/secret")
	s.as("ann", func() {
		s.fails(syscall.EACCES, unix.SYS_NEWFSTATAT, atCWD, "", st, unix.AT_EMPTY_PATH)
		s.fails(syscall.EACCES, unix.SYS_STAT, "file", st)
	})
	s.must(unix.SYS_CHDIR, "/")
	// Others have no rights to what is hers, and root is not asked.
	s.as("bob", func() { s.fails(syscall.EACCES, unix.SYS_STAT, "/home/ann/moved", st) })
	s.must(unix.SYS_STAT, "/secret/file", st)
}

// TestRightsOfThePast has what was, read by the rights of now.
func TestRightsOfThePast(t *testing.T) {
	s := newGuarded(t)
	st := make([]byte, 256)
	s.as("ann", func() {
		for _, path := range []string{"/.at/-0s/secret/file", "/.at/-0s/secret/none", "/.at/-0s/home/ann/link"} {
			if _, e := s.call(unix.SYS_STAT, path, st); e != syscall.EACCES {
				t.Errorf("%s: %v", path, e)
			}
		}
		for _, path := range []string{"/.at", "/.at/-0s", "/.at/-0s/home", "/.at/-0s/home/ann/dir"} {
			if _, e := s.call(unix.SYS_STAT, path, st); e != 0 {
				t.Errorf("%s: %v", path, e)
			}
		}
	})
}

func BenchmarkRights(b *testing.B) {
	for _, name := range []string{user.Root, "ann"} {
		b.Run(name, func(b *testing.B) {
			s := newGuarded(b)
			st := make([]byte, 256)
			s.as(name, func() {
				for range b.N {
					s.must(unix.SYS_STAT, "/home/ann/file", st)
				}
			})
		})
	}
}
