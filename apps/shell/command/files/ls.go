package files

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var lsCommand = &command.Command{
	Name: "ls", Usage: "[-aAldhrRSt1F] [file...]", Summary: "list directories",
	Run: ls,
}

// listing is one run of ls: its options and what it has met so far.
type listing struct {
	*command.Call
	all, almost, long, itself, human bool
	reverse, recurse, bySize, byTime bool
	single, classify                 bool

	width  int // columns of the terminal, 0 where there is none
	failed bool
	shown  int // blocks printed so far, to put empty lines between them
}

// entry is one line of a listing.
type entry struct {
	name string
	path string
	info fs.FileInfo
}

func ls(ctx context.Context, c *command.Call) error {
	l := &listing{Call: c}
	o := c.Options()
	all := o.Flag("a,all", "also names that begin with a dot")
	almost := o.Flag("A,almost-all", "the same, without . and ..")
	long := o.Flag("l", "one line for each, with mode, links, owner, size and time")
	itself := o.Flag("d,directory", "directories themselves, not what is in them")
	human := o.Flag("h,human-readable", "sizes with K, M, G")
	reverse := o.Flag("r,reverse", "the other way round")
	recurse := o.Flag("R,recursive", "also the directories in directories")
	bySize := o.Flag("S", "largest first")
	byTime := o.Flag("t", "newest first")
	single := o.Flag("1", "one name on each line")
	classify := o.Flag("F,classify", "mark directories /, programs *, links @")
	names, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	l.all, l.almost, l.long, l.itself, l.human = *all, *almost, *long, *itself, *human
	l.reverse, l.recurse, l.bySize, l.byTime = *reverse, *recurse, *bySize, *byTime
	l.single, l.classify = *single, *classify
	l.width, _ = c.Terminal()
	if len(names) == 0 {
		names = []string{"."}
	}
	return l.run(ctx, names)
}

// run prints the files among the names first, then each directory.
func (l *listing) run(ctx context.Context, names []string) error {
	var plain, dirs []entry
	for _, name := range names {
		e, err := l.look(name, l.Path(name))
		if err != nil {
			l.warn(name, err)
			continue
		}
		if e.info.IsDir() && !l.itself {
			dirs = append(dirs, e)
		} else {
			plain = append(plain, e)
		}
	}
	if len(plain) > 0 {
		l.sort(plain)
		l.shown++
		l.print(plain)
	}
	l.sort(dirs)
	for _, d := range dirs {
		if err := l.directory(ctx, d, len(names) > 1 || l.recurse); err != nil {
			return err
		}
	}
	if l.failed {
		return command.Exit(command.StatusFailed)
	}
	return nil
}

func (l *listing) warn(name string, err error) {
	l.Warn(command.Named(name, err))
	l.failed = true
}

// look follows a symbolic link that the user named, as long as neither -l nor
// -d asks for the link itself.
func (l *listing) look(name, path string) (entry, error) {
	stat := os.Stat
	if l.long || l.itself {
		stat = os.Lstat
	}
	info, err := stat(path)
	if err != nil {
		info, err = os.Lstat(path) // a dangling link is still a name
	}
	return entry{name, path, info}, err
}

func (l *listing) directory(ctx context.Context, d entry, titled bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	found, err := os.ReadDir(d.path)
	if err != nil {
		l.warn(d.name, err)
	}
	var list []entry
	if l.all {
		for _, dots := range []string{".", ".."} {
			if e, err := l.look(dots, filepath.Join(d.path, dots)); err == nil {
				list = append(list, e)
			}
		}
	}
	for _, f := range found {
		if strings.HasPrefix(f.Name(), ".") && !l.all && !l.almost {
			continue
		}
		info, err := f.Info()
		if os.IsNotExist(err) {
			continue // removed since the directory was read
		}
		if err != nil {
			l.warn(f.Name(), err)
			continue
		}
		list = append(list, entry{f.Name(), filepath.Join(d.path, f.Name()), info})
	}
	if l.shown > 0 {
		fmt.Fprintln(l.Out)
	}
	if titled {
		fmt.Fprintf(l.Out, "%s:\n", d.name)
	}
	l.shown++
	l.sort(list)
	l.print(list)
	return l.below(ctx, d, list)
}

// below lists the directories in a listed directory, for -R.
func (l *listing) below(ctx context.Context, d entry, list []entry) error {
	if !l.recurse {
		return nil
	}
	for _, e := range list {
		if !e.info.IsDir() || e.name == "." || e.name == ".." {
			continue
		}
		e.name = strings.TrimSuffix(d.name, "/") + "/" + e.name
		if err := l.directory(ctx, e, true); err != nil {
			return err
		}
	}
	return nil
}

func (l *listing) sort(list []entry) {
	slices.SortStableFunc(list, func(a, b entry) int {
		order := strings.Compare(a.name, b.name)
		if l.bySize {
			order = cmp.Or(cmp.Compare(b.info.Size(), a.info.Size()), order)
		} else if l.byTime {
			order = cmp.Or(b.info.ModTime().Compare(a.info.ModTime()), order)
		}
		if l.reverse {
			return -order
		}
		return order
	})
}

func (l *listing) print(list []entry) {
	switch {
	case l.long:
		l.table(list)
	case l.width == 0 || l.single:
		for _, e := range list {
			fmt.Fprintln(l.Out, e.name+l.mark(e))
		}
	default:
		l.columns(list)
	}
}

// columns prints names downwards in as many columns as the terminal has room for.
func (l *listing) columns(list []entry) {
	widest := 0
	for _, e := range list {
		widest = max(widest, utf8.RuneCountInString(e.name+l.mark(e)))
	}
	across := max(1, l.width/(widest+2))
	rows := (len(list) + across - 1) / across
	for row := range rows {
		var line strings.Builder
		for i := row; i < len(list); i += rows {
			e := list[i]
			pad := widest + 2 - utf8.RuneCountInString(e.name+l.mark(e))
			line.WriteString(paint(e) + l.mark(e))
			if i+rows < len(list) {
				line.WriteString(strings.Repeat(" ", pad))
			}
		}
		fmt.Fprintln(l.Out, line.String())
	}
}

// table prints the long form.
func (l *listing) table(list []entry) {
	var sizes, links []string
	sizeWidth, linkWidth := 0, 0
	for _, e := range list {
		size := strconv.FormatInt(e.info.Size(), 10)
		if l.human {
			size = Human(uint64(max(0, e.info.Size())))
		}
		link, _, _ := owner(e.info)
		sizes, links = append(sizes, size), append(links, link)
		sizeWidth, linkWidth = max(sizeWidth, len(size)), max(linkWidth, len(link))
	}
	for i, e := range list {
		name := e.name
		if l.width > 0 {
			name = paint(e)
		}
		name += l.mark(e)
		if e.info.Mode()&fs.ModeSymlink != 0 {
			if target, err := os.Readlink(e.path); err == nil {
				name += " -> " + target
			}
		}
		_, user, group := owner(e.info)
		fmt.Fprintf(l.Out, "%s %*s %s %s %*s %s %s\n", Mode(e.info.Mode()), linkWidth, links[i],
			user, group, sizeWidth, sizes[i], stamp(e.info.ModTime()), name)
	}
}

// owner returns the number of links and the numbers of user and group, as text.
func owner(info fs.FileInfo) (links, user, group string) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "?", "?", "?"
	}
	return strconv.FormatUint(st.Nlink, 10), strconv.Itoa(int(st.Uid)), strconv.Itoa(int(st.Gid))
}

func (l *listing) mark(e entry) string {
	if !l.classify {
		return ""
	}
	switch mode := e.info.Mode(); {
	case mode.IsDir():
		return "/"
	case mode&fs.ModeSymlink != 0:
		return "@"
	case mode&fs.ModeNamedPipe != 0:
		return "|"
	case mode&fs.ModeSocket != 0:
		return "="
	case mode.IsRegular() && mode&0o111 != 0:
		return "*"
	}
	return ""
}

// paint colours a name for a terminal: directories blue, links cyan, devices
// yellow, what may be executed green.
func paint(e entry) string {
	colour := ""
	switch mode := e.info.Mode(); {
	case mode.IsDir():
		colour = "34;1"
	case mode&fs.ModeSymlink != 0:
		colour = "36"
	case mode&fs.ModeDevice != 0:
		colour = "33"
	case mode.IsRegular() && mode&0o111 != 0:
		colour = "32"
	default:
		return e.name
	}
	return "\x1b[" + colour + "m" + e.name + "\x1b[0m"
}

// stamp shows a time with the minute if it is within half a year, else with
// the year.
func stamp(t time.Time) string {
	if age := time.Since(t); age < 182*24*time.Hour && age > -time.Hour {
		return t.Format("Jan _2 15:04")
	}
	return t.Format("Jan _2  2006")
}
