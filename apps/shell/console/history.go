package console

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// HistoryLimit is how many lines the history keeps.
const HistoryLimit = 1000

// History holds the lines typed, oldest first, and keeps them in a file. It is
// the History of a term.Terminal. It is used by one goroutine at a time.
type History struct {
	lines []string
	file  string
	err   error // why the file is no longer written
}

// LoadHistory reads the history kept in a file, which need not exist. The
// history works without it too: an error comes with a usable history.
func LoadHistory(file string) (*History, error) {
	h := &History{file: file}
	text, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		h.err = err
		return h, err
	}
	defer text.Close() // opened for reading
	scan := bufio.NewScanner(text)
	read := 0
	for ; scan.Scan(); read++ {
		h.push(scan.Text())
	}
	if err := scan.Err(); err != nil {
		h.err = err
		return h, err
	}
	if read > 2*HistoryLimit {
		h.err = h.rewrite()
	}
	return h, h.err
}

// push adds a line in memory; false if it is not worth keeping.
func (h *History) push(line string) bool {
	if strings.TrimSpace(line) == "" || line[0] == ' ' || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return false
	}
	if h.lines = append(h.lines, line); len(h.lines) > HistoryLimit {
		h.lines = h.lines[len(h.lines)-HistoryLimit:]
	}
	return true
}

// rewrite replaces the file by what is in memory, at once and as a whole.
func (h *History) rewrite() error {
	part := h.file + ".new"
	text := strings.Join(h.lines, "\n") + "\n"
	if err := os.WriteFile(part, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(part, h.file)
}

// Add adds a line, unless it repeats the last one, is blank or begins with a
// blank.
func (h *History) Add(line string) {
	if h.push(line) && h.err == nil {
		h.err = h.save(line)
	}
}

func (h *History) save(line string) error {
	f, err := os.OpenFile(h.file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(h.file), 0o700); err != nil {
			return err
		}
		f, err = os.OpenFile(h.file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, line+"\n")
	return errors.Join(err, f.Close())
}

// Err returns why lines are no longer kept in the file, nil if they are.
func (h *History) Err() error { return h.err }

// Len returns the number of lines.
func (h *History) Len() int { return len(h.lines) }

// At returns a line, 0 being the newest.
func (h *History) At(i int) string { return h.lines[len(h.lines)-1-i] }

// Print writes the lines with their numbers, oldest first, at most most of them.
func (h *History) Print(w io.Writer, most int) error {
	first := max(0, len(h.lines)-most)
	for i, line := range h.lines[first:] {
		if _, err := fmt.Fprintf(w, "%5d  %s\n", first+i+1, line); err != nil {
			return err
		}
	}
	return nil
}

// Find returns the index, as of At, of the first line that contains text, from
// the given index on towards older ones; -1 if there is none.
func (h *History) Find(text string, from int) int {
	for i := from; i < len(h.lines); i++ {
		if strings.Contains(h.At(i), text) {
			return i
		}
	}
	return -1
}
