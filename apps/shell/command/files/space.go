package files

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var (
	statCommand = &command.Command{
		Name: "stat", Usage: "[-L] file...", Summary: "print what is known about files",
		Run: stat,
	}
	duCommand = &command.Command{
		Name: "du", Usage: "[-ahs] [file...]", Summary: "add up the space that directories use, in KiB",
		Run: du,
	}
	dfCommand = &command.Command{
		Name: "df", Usage: "[-hi] [file...]", Summary: "print the size and free space of file systems, in KiB",
		Run: df,
	}
)

func stat(_ context.Context, c *command.Call) error {
	o := c.Options()
	follow := o.Flag("L,dereference", "what a symbolic link points to")
	names, err := o.Parse(1, -1)
	if err != nil {
		return err
	}
	look := os.Lstat
	if *follow {
		look = os.Stat
	}
	for _, name := range names {
		info, err := look(c.Path(name))
		if err != nil {
			return command.Named(name, err)
		}
		printStat(c, name, info)
	}
	return nil
}

func printStat(c *command.Call, name string, info fs.FileInfo) {
	fmt.Fprintf(c.Out, "  File: %s\n  Size: %d\n  Mode: %04o %s\n", name, info.Size(), info.Mode().Perm(), Mode(info.Mode()))
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	stamp := func(t syscall.Timespec) string {
		return time.Unix(t.Sec, t.Nsec).Format("2006-01-02 15:04:05.000000000 -0700")
	}
	fmt.Fprintf(c.Out, "Blocks: %d of 512 bytes\n Inode: %d on device %d\n Links: %d\n Owner: %d:%d\n",
		st.Blocks, st.Ino, st.Dev, st.Nlink, st.Uid, st.Gid)
	fmt.Fprintf(c.Out, "Access: %s\nModify: %s\nChange: %s\n", stamp(st.Atim), stamp(st.Mtim), stamp(st.Ctim))
}

func du(ctx context.Context, c *command.Call) error {
	o := c.Options()
	all := o.Flag("a,all", "print files too")
	human := o.Flag("h,human-readable", "sizes with K, M, G")
	total := o.Flag("s,summarize", "only one line for each argument")
	names, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		names = []string{"."}
	}
	u := &usage{Call: c, all: *all, human: *human, total: *total, seen: make(map[uint64]bool)}
	for _, name := range names {
		info, err := os.Lstat(c.Path(name))
		if err != nil {
			u.warn(name, err)
			continue
		}
		if _, err := u.add(ctx, name, c.Path(name), info, true); err != nil {
			return err
		}
	}
	if u.failed {
		return command.Exit(command.StatusFailed)
	}
	return nil
}

// usage is one run of du.
type usage struct {
	*command.Call
	all, human, total bool
	seen              map[uint64]bool // inodes of several names, counted already
	failed            bool
}

func (u *usage) warn(name string, err error) {
	u.Warn(command.Named(name, err))
	u.failed = true
}

// add returns the bytes used by the file or tree at path.
func (u *usage) add(ctx context.Context, name, path string, info fs.FileInfo, top bool) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	size := u.own(info)
	if info.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			u.warn(name, err)
		}
		for _, e := range entries {
			below, err := e.Info()
			if err != nil {
				if !errors.Is(err, fs.ErrNotExist) {
					u.warn(filepath.Join(name, e.Name()), err)
				}
				continue
			}
			n, err := u.add(ctx, strings.TrimSuffix(name, "/")+"/"+e.Name(), filepath.Join(path, e.Name()), below, false)
			if err != nil {
				return 0, err
			}
			size += n
		}
	}
	if top || !u.total && (info.IsDir() || u.all) {
		fmt.Fprintf(u.Out, "%s\t%s\n", kib(size, u.human), name)
	}
	return size, nil
}

// own returns the bytes that one inode uses, 0 if it was counted under another name.
func (u *usage) own(info fs.FileInfo) uint64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return uint64(max(0, info.Size()))
	}
	if st.Nlink > 1 && !info.IsDir() {
		if u.seen[st.Ino] {
			return 0
		}
		u.seen[st.Ino] = true
	}
	return uint64(max(0, st.Blocks)) * 512
}

// kib shows bytes in KiB, rounded up, or in the unit that fits.
func kib(n uint64, human bool) string {
	if human {
		return Human(n)
	}
	return fmt.Sprint((n + 1023) / 1024)
}

// mount is one line of /proc/mounts.
type mount struct{ device, point, kind string }

// mounts reads /proc/mounts; where there is none, the root is all there is.
func mounts() []mount {
	f, err := os.Open("/proc/self/mounts")
	if err != nil {
		return []mount{{"-", "/", "-"}}
	}
	defer f.Close() // opened for reading
	var list []mount
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if field := strings.Fields(lines.Text()); len(field) >= 3 {
			list = append(list, mount{field[0], strings.ReplaceAll(field[1], `\040`, " "), field[2]})
		}
	}
	return list
}

// on returns the mount that holds path: the last of the longest mount points
// that path is under.
func on(list []mount, path string) mount {
	best := mount{"-", "/", "-"}
	for _, m := range list {
		under := m.point == "/" || path == m.point || strings.HasPrefix(path, m.point+"/")
		if under && len(m.point) >= len(best.point) {
			best = m
		}
	}
	return best
}

func df(_ context.Context, c *command.Call) error {
	o := c.Options()
	human := o.Flag("h,human-readable", "sizes with K, M, G")
	inodes := o.Flag("i,inodes", "count inodes, not space")
	names, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	list := mounts()
	wanted := list
	if len(names) > 0 {
		wanted = nil
		for _, name := range names {
			path, err := filepath.EvalSymlinks(c.Path(name))
			if err != nil {
				return command.Named(name, err)
			}
			m := on(list, path)
			wanted = append(wanted, m)
		}
	}
	return printSpace(c, wanted, len(names) > 0, *human, *inodes)
}

func printSpace(c *command.Call, wanted []mount, named, human, inodes bool) error {
	tw := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	unit := "KiB"
	if inodes {
		unit = "inodes"
	} else if human {
		unit = "size"
	}
	fmt.Fprintf(tw, "file system\ttype\t%s\tused\tfree\tuse\tmounted on\n", unit)
	for _, m := range wanted {
		var st syscall.Statfs_t
		if err := syscall.Statfs(m.point, &st); err != nil {
			c.Warn(fmt.Errorf("%s: %w", m.point, err))
			continue
		}
		total, free, mine, size := st.Blocks, st.Bfree, st.Bavail, uint64(st.Bsize)
		if inodes {
			total, free, mine, size = st.Files, st.Ffree, st.Ffree, 1024 // shown as it is by kib
		}
		if total == 0 && !named {
			continue // a view such as /proc, which holds nothing
		}
		used := total - min(free, total)
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.device, m.kind, kib(total*size, human && !inodes),
			kib(used*size, human && !inodes), kib(mine*size, human && !inodes), percent(used, used+mine), m.point)
	}
	return tw.Flush()
}

// percent shows part of whole, rounded up.
func percent(part, whole uint64) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%d%%", (part*100+whole-1)/whole)
}
