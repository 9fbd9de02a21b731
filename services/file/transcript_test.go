package file

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/table"
	"github.com/tuplix/tuplix/services/internal/transcript"
)

// TestTranscripts shows what calls do, and what of that is there after the power was
// cut when nothing that was not synced had reached the disk.
func TestTranscripts(t *testing.T) {
	transcript.Run(t, "testdata/*.transcript", func(t *testing.T) func(string) string {
		s := &spoken{t: t, disk: vfs.NewCrashableMem(), moments: map[string]time.Time{}}
		s.fs = must[*FS](t)(mount(s.disk, spokenOptions(t)))
		t.Cleanup(func() { closeChecked(t, s.fs) })
		return s.run
	})
}

// spoken is files of which a transcript speaks.
type spoken struct {
	t       *testing.T
	disk    *vfs.MemFS
	fs      *FS
	moments map[string]time.Time
}

var spokenWords = map[string]func(s *spoken, w []string) error{
	"create": func(s *spoken, w []string) error {
		_, err := s.fs.Root().Create(w[0], New{Mode: syscall.S_IFREG | 0o644})
		return err
	},
	"write": func(s *spoken, w []string) error {
		return s.with(w[0], func(n *Inode) error { _, err := n.WriteAt([]byte(w[2]), number(w[1])); return err })
	},
	"fill": func(s *spoken, w []string) error {
		return s.with(w[0], func(n *Inode) error {
			_, err := n.WriteAt(bytes.Repeat([]byte(w[1]), int(number(w[2]))), 0)
			return err
		})
	},
	"truncate": func(s *spoken, w []string) error {
		return s.with(w[0], func(n *Inode) error { return n.Truncate(number(w[1])) })
	},
	"punch": func(s *spoken, w []string) error {
		return s.with(w[0], func(n *Inode) error { return n.PunchHole(number(w[1]), number(w[2])) })
	},
	"clone": func(s *spoken, w []string) error {
		return s.with(w[0], func(src *Inode) error {
			return s.with(w[1], func(n *Inode) error { return n.CloneFrom(src, 0, 0, src.Size()) })
		})
	},
	"rename": func(s *spoken, w []string) error { return s.fs.Rename(s.fs.Root(), w[0], s.fs.Root(), w[1], 0) },
	"link": func(s *spoken, w []string) error {
		return s.with(w[0], func(n *Inode) error { return s.fs.Root().Link(w[1], n) })
	},
	"unlink": func(s *spoken, w []string) error { return s.fs.Root().Unlink(w[0]) },
	"sync": func(s *spoken, w []string) error {
		if len(w) == 0 {
			return s.fs.Sync()
		}
		return s.with(w[0], (*Inode).Sync)
	},
	"cut": func(s *spoken, _ []string) error { s.cut(); return nil },
	"moment": func(s *spoken, w []string) error {
		err := s.fs.flush()
		time.Sleep(2 * time.Millisecond) // so that it lies between two changes
		s.moments[w[0]] = time.Now()
		time.Sleep(2 * time.Millisecond)
		return err
	},
	"restore": func(s *spoken, w []string) error {
		_, err := s.fs.Restore(context.Background(), nil, w[0], s.moments[w[1]])
		return err
	},
	"append": func(s *spoken, w []string) error {
		return s.with(w[0], func(n *Inode) error { _, _, err := n.Append([]byte(w[1])); return err })
	},
	"mkdir": func(s *spoken, w []string) error {
		_, err := s.fs.Root().Create(w[0], New{Mode: syscall.S_IFDIR | 0o755})
		return err
	},
	"rmdir": func(s *spoken, w []string) error { return s.fs.Root().Rmdir(w[0]) },
	"unnamed": func(s *spoken, w []string) error {
		n, err := s.fs.Root().CreateUnnamed(New{Mode: syscall.S_IFREG | 0o644})
		if err == nil {
			_, err = n.WriteAt([]byte(w[1]), 0)
		}
		if err == nil {
			err = s.fs.Root().Link(w[0], n)
		}
		return err
	},
	"attr": func(s *spoken, w []string) error {
		return s.with(w[0], func(n *Inode) error { return n.SetXattr("user."+w[1], []byte(w[2]), 0) })
	},
	"unattr": func(s *spoken, w []string) error {
		return s.with(w[0], func(n *Inode) error { return n.RemoveXattr("user." + w[1]) })
	},
	"own": func(s *spoken, w []string) error {
		return s.with(w[0], func(n *Inode) error { return n.Update(func(a *Attr) { a.UID = uint32(number(w[1])) }) })
	},
	"import": func(s *spoken, w []string) error {
		var b bytes.Buffer
		x := tar.NewWriter(&b)
		err := x.WriteHeader(&tar.Header{Name: w[0], Mode: 0o644, Size: int64(len(w[1]))})
		if err == nil {
			_, err = x.Write([]byte(w[1]))
		}
		return errors.Join(err, x.Close(), s.fs.Root().ImportTar(&b))
	},
	"plan": func(s *spoken, w []string) error {
		p, err := s.fs.Plan(context.Background(), w[0], s.moments[w[1]])
		if err != nil {
			return err
		}
		return fmt.Errorf("%d files, of which %d go, and %d names; what %d transactions did", p.Inodes, p.Removed, p.Entries, p.Transactions)
	},
	"restore-with": func(s *spoken, w []string) error {
		return s.fs.RestoreWith(context.Background(), &engine.Op{}, s.moments[w[0]], func(*table.Tx, engine.Version) error {
			if len(w) > 1 {
				return errors.New("the others fail")
			}
			return nil
		})
	},
	"together": together,
	"both": func(s *spoken, w []string) error {
		_, err := s.fs.Update(context.Background(), &engine.Op{}, func(_ *table.Tx, files *Tx) error {
			for _, name := range w {
				if _, err := files.Create(s.fs.Root(), name, New{Mode: syscall.S_IFREG | 0o644}); err != nil {
					return err
				}
			}
			return nil
		})
		return err
	},
}

// together makes changes of each kind one transaction; with "fail" it fails in the end.
func together(s *spoken, w []string) error {
	root := s.fs.Root()
	a, err := root.Lookup("a")
	if err != nil {
		return err
	}
	_, err = s.fs.Update(context.Background(), &engine.Op{}, func(_ *table.Tx, files *Tx) error {
		n, err := files.Create(root, "n", New{Mode: syscall.S_IFREG | 0o644})
		if err != nil {
			return err
		}
		_, err = files.WriteAt(n, []byte("new"), 0)
		err = errors.Join(err, files.Truncate(a, 1), files.Link(root, "l", a), files.Unlink(root, "b"), files.Rmdir(root, "d"),
			files.Rename(root, "c", root, "e", 0), files.SetXattr(a, "user.k", []byte("v"), 0), files.RemoveXattr(a, "user.old"),
			files.SetAttr(a, func(x *Attr) { x.UID = 7 }))
		if len(w) > 0 {
			err = errors.Join(err, errors.New("the transaction was told to fail"))
		}
		return err
	})
	return err
}

func number(word string) int64 {
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func (s *spoken) run(line string) string {
	w := strings.Fields(line)
	if w[0] == "show" {
		return s.show()
	}
	do := spokenWords[w[0]]
	if do == nil {
		s.t.Fatalf("no command %q", w[0])
	}
	if err := do(s, w[1:]); err != nil {
		return err.Error() + "\n"
	}
	return ""
}

func (s *spoken) with(name string, do func(n *Inode) error) error {
	n, err := s.fs.Root().Lookup(name)
	if err != nil {
		return err
	}
	return do(n)
}

// cut has the power go, and come again.
func (s *spoken) cut() {
	left := s.disk.CrashClone(vfs.CrashCloneCfg{RNG: rand.New(rand.NewPCG(1, 1))})
	closeChecked(s.t, s.fs)
	s.disk = left
	s.fs = must[*FS](s.t)(mount(left, spokenOptions(s.t)))
	if err := s.fs.Check(); err != nil {
		s.t.Fatal(err)
	}
}

// show lists the files: name, links, size, pages, and what is in them.
func (s *spoken) show() string {
	var b strings.Builder
	found := map[string]bool{}
	must[any](s.t)(nil, s.fs.Root().ReadDir(0, func(e Entry) bool { found[e.Name] = true; return true }))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		n := must[*Inode](s.t)(s.fs.Root().Lookup(name))
		a := n.Attr()
		if a.Type() == syscall.S_IFDIR {
			fmt.Fprintf(&b, "%s/\n", name)
			continue
		}
		fmt.Fprintf(&b, "%s: %d links, %d bytes, %d pages: %s\n", name, a.Links, a.Size, a.Blocks, runs(readAll(s.t, n)))
		if x := must[[]string](s.t)(n.Xattrs()); len(x) > 0 || a.UID != 0 {
			fmt.Fprintf(&b, "  owner %d, attributes %v\n", a.UID, x)
		}
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return b.String()
}

// runs writes down bytes, where one comes often how often.
func runs(p []byte) string {
	var b strings.Builder
	for len(p) > 0 {
		n := len(p) - len(bytes.TrimLeft(p, string(p[:1])))
		c := string(p[:1])
		if p[0] == 0 {
			c = "."
		}
		if n > 3 {
			c += fmt.Sprint("*", n, " ")
		} else {
			c = strings.Repeat(c, n)
		}
		b.WriteString(c)
		p = p[n:]
	}
	return strings.TrimSpace(b.String())
}

// spokenOptions has nothing synced but what is asked for.
func spokenOptions(t *testing.T) Options { return Options{Log: t.Logf, SyncInterval: time.Hour} }
