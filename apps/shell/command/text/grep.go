package text

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/tuplix/tuplix/apps/shell/command"
)

var grepCommand = &command.Command{
	Name: "grep", Usage: "[-EFHceilLnoqrvwx] [-A n] [-B n] [-C n] [-m n] pattern [file...]",
	Summary: "print the lines that match a regular expression", Run: grep,
}

// grepper is one run of grep.
type grepper struct {
	*command.Call
	match *regexp.Regexp

	count, names, without, number, only, quiet, invert bool
	titled                                             bool // file names before lines
	before, after, most                                int

	found, failed bool
}

func grep(ctx context.Context, c *command.Call) error {
	g := &grepper{Call: c}
	o := c.Options()
	fixed := o.Flag("F,fixed-strings", "the pattern is plain text")
	o.Flag("E,extended-regexp", "accepted: every pattern is an extended one (RE2)")
	fold := o.Flag("i,ignore-case", "capitals and small letters are the same")
	word := o.Flag("w,word-regexp", "match whole words")
	line := o.Flag("x,line-regexp", "match whole lines")
	invert := o.Flag("v,invert-match", "print the lines that do not match")
	count := o.Flag("c,count", "print how many lines match")
	names := o.Flag("l,files-with-matches", "print only the names of files that match")
	without := o.Flag("L,files-without-match", "print only the names of files that do not")
	number := o.Flag("n,line-number", "put the number before each line")
	only := o.Flag("o,only-matching", "print what matches, not the line")
	quiet := o.Flag("q,quiet", "print nothing, only tell by the exit status")
	recurse := o.Flag("r,recursive", "search the files in directories")
	hide := o.Flag("h,no-filename", "no file names before lines")
	show := o.Flag("H,with-filename", "file names before lines")
	patterns := o.Strings("e,regexp", "PATTERN", "a pattern; may be repeated")
	before := o.Int("B,before-context", "N", 0, 0, "lines to print before each match")
	after := o.Int("A,after-context", "N", 0, 0, "lines to print after each match")
	around := o.Int("C,context", "N", 0, 0, "both")
	most := o.Int("m,max-count", "N", -1, 0, "stop after so many lines of a file")
	args, err := o.Parse(0, -1)
	if err != nil {
		return err
	}
	if len(*patterns) == 0 {
		if len(args) == 0 {
			return command.Usagef("a pattern is missing")
		}
		*patterns, args = args[:1], args[1:]
	}
	if g.match, err = compile(*patterns, *fixed, *fold, *word, *line); err != nil {
		return command.Usagef("%v", err)
	}
	g.invert, g.count, g.names, g.without, g.number = *invert, *count, *names, *without, *number
	g.only, g.quiet, g.most = *only, *quiet, *most
	g.before, g.after = max(*before, *around), max(*after, *around)
	g.titled = (len(args) > 1 || *recurse || *show) && !*hide
	if *recurse {
		if len(args) == 0 {
			args = []string{"."}
		}
		args = g.expand(ctx, args)
	}
	return g.run(args, *recurse)
}

// compile joins the patterns into one. Syntax is Go's, which is that of grep -E
// without back references.
func compile(patterns []string, fixed, fold, word, line bool) (*regexp.Regexp, error) {
	var alternatives []string
	for _, p := range patterns {
		for p := range strings.SplitSeq(p, "\n") {
			if fixed {
				p = regexp.QuoteMeta(p)
			}
			if _, err := regexp.Compile(p); err != nil {
				return nil, err // which shows the pattern as it was given
			}
			alternatives = append(alternatives, "(?:"+p+")")
		}
	}
	all := "(?:" + strings.Join(alternatives, "|") + ")"
	switch {
	case line:
		all = "^" + all + "$"
	case word:
		all = `\b` + all + `\b`
	}
	if fold {
		all = "(?i)" + all
	}
	return regexp.Compile(all)
}

// expand replaces directories by the regular files below them.
func (g *grepper) expand(ctx context.Context, args []string) []string {
	var files []string
	for _, arg := range args {
		top := g.Path(arg)
		err := filepath.WalkDir(top, func(at string, d fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			name := arg + strings.TrimPrefix(at, top)
			if err != nil {
				g.warn(name, err)
			} else if d.Type().IsRegular() {
				files = append(files, name)
			}
			return nil
		})
		if err != nil {
			g.warn(arg, err)
		}
	}
	return files
}

func (g *grepper) warn(name string, err error) {
	g.Warn(command.Named(name, err))
	g.failed = true
}

func (g *grepper) run(files []string, recursed bool) error {
	if len(files) == 0 && !recursed {
		files = []string{"-"}
	}
	for _, name := range files {
		if err := g.file(name); err != nil {
			return err
		}
		if g.found && g.quiet {
			return nil
		}
	}
	switch {
	case g.failed:
		return command.Exit(command.StatusUsage)
	case !g.found:
		return command.Exit(command.StatusFailed)
	}
	return nil
}

// file searches one file. The error is one of the output; errors of the file
// are reported here.
func (g *grepper) file(name string) error {
	r, title := g.In, "(standard input)"
	if name != "-" {
		title = name
		f, err := os.Open(g.Path(name))
		if err != nil {
			g.warn(name, err)
			return nil
		}
		defer f.Close() // opened for reading
		if info, err := f.Stat(); err == nil && info.IsDir() {
			g.warn(name, fmt.Errorf("is a directory; -r searches the files in it"))
			return nil
		}
		r = f
	}
	s := &search{grepper: g, title: title, out: bufio.NewWriter(g.Out)}
	if err := eachLine(r, s.out, s.line); err != nil {
		return command.Named(title, err)
	}
	s.end()
	return s.out.Flush()
}

// search is grep in one file.
type search struct {
	*grepper
	title   string
	out     *bufio.Writer
	at      int      // number of the current line, from 1
	matches int      // lines that counted
	due     int      // lines still to be printed after a match
	kept    [][]byte // up to before lines, not printed
	last    int      // number of the line printed last
}

func (s *search) line(line []byte) (bool, error) {
	s.at++
	if s.match.Match(line) == s.invert {
		s.miss(line)
		return s.most < 0 || s.matches < s.most || s.due > 0, nil
	}
	if s.most >= 0 && s.matches >= s.most {
		return false, nil
	}
	s.matches++
	s.found = true
	if s.quiet || s.names || s.without {
		return false, nil
	}
	if !s.count {
		s.hit(line)
	}
	return s.most < 0 || s.matches < s.most || s.due > 0, nil
}

func (s *search) miss(line []byte) {
	switch {
	case s.due > 0:
		s.due--
		s.print(s.at, line, '-')
	case s.before > 0:
		if len(s.kept) == s.before {
			s.kept = s.kept[1:]
		}
		s.kept = append(s.kept, bytes.Clone(line))
	}
}

func (s *search) hit(line []byte) {
	first := s.at - len(s.kept)
	if s.last > 0 && first > s.last+1 && s.before+s.after > 0 {
		fmt.Fprintln(s.out, "--")
	}
	for i, k := range s.kept {
		s.print(first+i, k, '-')
	}
	s.kept, s.due = nil, s.after
	if !s.only {
		s.print(s.at, line, ':')
		return
	}
	if !s.invert {
		for _, m := range s.match.FindAll(line, -1) {
			s.print(s.at, m, ':')
		}
	}
}

func (s *search) print(number int, line []byte, mark byte) {
	if s.titled {
		fmt.Fprintf(s.out, "%s%c", s.title, mark)
	}
	if s.number {
		fmt.Fprintf(s.out, "%d%c", number, mark)
	}
	s.out.Write(line) // a bufio.Writer keeps its error for Flush
	s.out.WriteByte('\n')
	s.last = number
}

func (s *search) end() {
	switch {
	case s.quiet:
	case s.names && s.matches > 0, s.without && s.matches == 0:
		fmt.Fprintln(s.out, s.title)
	case s.count && !s.names && !s.without:
		if s.titled {
			fmt.Fprintf(s.out, "%s:", s.title)
		}
		fmt.Fprintln(s.out, s.matches)
	}
}
