package console

import (
	"os"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// Completer knows what a word may become.
type Completer struct {
	Words func() []string // the words that may begin a command
	Dir   func() string   // the directory that relative names start from

	// Arguments returns the words that may follow those of a command, nil where
	// names of files may; nil: always those.
	Arguments func(words []string) []string
}

// separators end a word of the shell language where no backslash is before them.
const separators = " \t;|&<>()"

// special are the characters that a name needs a backslash before.
const special = separators + "\\\"'$`*?[]#~{}!"

// apply completes the word before the cursor. Where there is nothing to add it
// returns the line as it was, with the choices that there are.
func (c Completer) apply(line string, at int) (newLine string, newAt int, choices []string) {
	start := wordStart(line[:at])
	word := unescape(line[start:at])
	found := c.candidates(word, line[:start])
	if len(found) == 0 {
		return line, at, nil
	}
	common := commonPrefix(found)
	if len(found) == 1 && !strings.HasSuffix(common, "/") {
		common = escape(common) + " "
	} else {
		common = escape(common)
		if len(found) > 1 && len(common) <= at-start {
			return line, at, bases(found)
		}
	}
	return line[:start] + common + line[at:], start + len(common), nil
}

// candidates returns what word may become, sorted, without repetitions.
// Directories end in a slash.
func (c Completer) candidates(word, before string) []string {
	var known []string
	switch {
	case commandPosition(before):
		if !strings.Contains(word, "/") {
			known = c.Words()
		}
	case c.Arguments != nil && !strings.HasPrefix(word, "-"):
		known = c.Arguments(arguments(before))
	}
	var found []string
	for _, w := range known {
		if strings.HasPrefix(w, word) {
			found = append(found, w)
		}
	}
	if known == nil {
		found = c.paths(word)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// arguments are the words of the last command of text, without options.
func arguments(text string) (words []string) {
	for {
		text = strings.TrimRight(text, " \t")
		start := wordStart(text)
		word := unescape(text[start:])
		if len(words) == 0 || !strings.HasPrefix(word, "-") {
			words = append(words, word)
		}
		if text = text[:start]; commandPosition(text) {
			slices.Reverse(words)
			return words
		}
		if word == "" { // behind < or >
			text = text[:len(text)-1]
		}
	}
}

func (c Completer) paths(word string) []string {
	dir, base := path.Split(word)
	where := dir
	if !path.IsAbs(where) {
		where = path.Join(c.Dir(), dir)
	}
	entries, err := os.ReadDir(where)
	if err != nil {
		return nil // nothing to offer there; the command will say why
	}
	var found []string
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, base) || strings.HasPrefix(name, ".") && base == "" {
			continue
		}
		info, err := os.Stat(path.Join(where, name))
		if err == nil && info.IsDir() {
			name += "/"
		}
		found = append(found, dir+name)
	}
	return found
}

// wordStart returns where the last word of text begins.
func wordStart(text string) int {
	start := 0
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case strings.IndexByte(separators, text[i]) >= 0:
			start = i + 1
		}
	}
	return min(start, len(text))
}

// commandPosition reports whether the word after text is a command's name.
func commandPosition(text string) bool {
	text = strings.TrimRight(text, " \t")
	if text == "" || strings.IndexByte(";|&(", text[len(text)-1]) >= 0 {
		return true
	}
	switch text[wordStart(text):] {
	case "then", "do", "else", "elif", "if", "while", "until", "!", "{", "time", "xargs", "which", "help":
		return true
	}
	return false
}

func unescape(word string) string {
	var out strings.Builder
	for i := 0; i < len(word); i++ {
		if word[i] == '\\' && i+1 < len(word) {
			i++
		}
		out.WriteByte(word[i])
	}
	return out.String()
}

func escape(word string) string {
	var out strings.Builder
	for _, r := range word {
		if strings.ContainsRune(special, r) {
			out.WriteByte('\\')
		}
		out.WriteRune(r)
	}
	return out.String()
}

// commonPrefix returns what all words begin with, in whole characters.
func commonPrefix(words []string) string {
	common := words[0]
	for _, w := range words[1:] {
		for !strings.HasPrefix(w, common) {
			_, size := utf8.DecodeLastRuneInString(common)
			common = common[:len(common)-size]
		}
	}
	return common
}

// bases returns the last parts of names.
func bases(names []string) []string {
	var out []string
	for _, n := range names {
		trimmed := strings.TrimSuffix(n, "/")
		out = append(out, trimmed[strings.LastIndexByte(trimmed, '/')+1:]+n[len(trimmed):])
	}
	return out
}

// columns lays words out downwards in lines of at most width.
func columns(words []string, width int) string {
	widest := 0
	for _, w := range words {
		widest = max(widest, utf8.RuneCountInString(w))
	}
	across := max(1, width/(widest+2))
	rows := (len(words) + across - 1) / across
	var out strings.Builder
	for row := range rows {
		for i := row; i < len(words); i += rows {
			out.WriteString(words[i])
			if i+rows < len(words) {
				out.WriteString(strings.Repeat(" ", widest+2-utf8.RuneCountInString(words[i])))
			}
		}
		out.WriteString("\n")
	}
	return out.String()
}
