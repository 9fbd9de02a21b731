package embedded

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tuplix/tuplix/dbms/engine"
)

var update = flag.Bool("update", false, "write what the transcripts in testdata give")

// TestTranscripts runs the commands in testdata, lines that begin with "> ", and
// compares what follows them. A new store is opened for each file.
//
//	put a=1 b=- ...       one transaction; "-" deletes; it is called v1, v2, ...
//	restore LOW HIGH v1   another
//	show [v1]             all keys at a version, or now
//	history KEY
//	changes [v1]
//	repair, reopen, stored
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.transcript")
	must(t, err)
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			want, err := os.ReadFile(name)
			must(t, err)
			got := play(t, string(want))
			if *update {
				must(t, os.WriteFile(name, []byte(got), 0o644))
			} else if got != string(want) {
				t.Errorf("it gives\n%s", got)
			}
		})
	}
}

type player struct {
	t        *testing.T
	fs       *vfs.MemFS
	e        *Engine
	versions []engine.Version
}

func play(t *testing.T, script string) string {
	p := &player{t: t, fs: vfs.NewMem()}
	p.open()
	var out strings.Builder
	for line := range strings.Lines(script) {
		command, ok := strings.CutPrefix(line, "> ")
		if !ok && !strings.HasPrefix(line, "#") && line != "\n" {
			continue
		}
		out.WriteString(line)
		if ok {
			out.WriteString(p.run(strings.Fields(command)))
		}
	}
	must(t, check(p.e))
	must(t, p.e.Close())
	return out.String()
}

// open opens the store with a clock that stands still.
func (p *player) open() {
	var err error
	p.e, err = Open(p.fs, "store", Options{NoBackground: true, Now: func() time.Time { return time.UnixMicro(1 << 40) }})
	must(p.t, err)
}

func (p *player) run(c []string) string {
	switch c[0] {
	case "put":
		return p.commit(func(tx engine.Tx) error { return p.put(tx, c[1:]) })
	case "restore":
		return p.commit(func(tx engine.Tx) error {
			return tx.Restore(engine.Range{Low: []byte(c[1]), High: []byte(c[2])}, p.version(c[3:]))
		})
	case "show":
		return p.view(p.version(c[1:]), show)
	case "history":
		return p.view("", func(r engine.Reader) string { return p.rows(r.History([]byte(c[1]))) })
	case "changes":
		return p.view("", func(r engine.Reader) string { return p.rows(r.Changes(engine.All, p.version(c[1:]))) })
	case "repair":
		_, err := p.e.Collect(context.Background())
		must(p.t, err)
	case "reopen":
		must(p.t, p.e.Close())
		p.open()
	case "stored":
		return p.stored()
	default:
		p.t.Fatalf("unknown command %q", c)
	}
	return ""
}

func (p *player) put(tx engine.Tx, pairs []string) error {
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		err := error(nil)
		if value == "-" {
			err = tx.Delete([]byte(key))
		} else {
			err = tx.Put([]byte(key), []byte(value))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *player) commit(fn func(engine.Tx) error) string {
	v, err := p.e.Update(context.Background(), nil, fn)
	if err != nil {
		return err.Error() + "\n"
	}
	p.versions = append(p.versions, v)
	return p.name(v) + "\n"
}

func (p *player) version(args []string) engine.Version {
	if len(args) == 0 {
		return ""
	}
	var n int
	if _, err := fmt.Sscanf(args[0], "v%d", &n); err != nil || n < 1 || n > len(p.versions) {
		p.t.Fatalf("version %q", args[0])
	}
	return p.versions[n-1]
}

func (p *player) name(v engine.Version) string {
	for i, x := range p.versions {
		if x == v {
			return fmt.Sprint("v", i+1)
		}
	}
	return string(v)
}

func (p *player) view(at engine.Version, text func(engine.Reader) string) (out string) {
	must(p.t, p.e.View(context.Background(), at, func(r engine.Reader) error {
		out = text(r)
		return nil
	}))
	return out
}

func show(r engine.Reader) string {
	var out []string
	c := r.Scan(engine.All, engine.ScanOptions{})
	for c.Next() {
		out = append(out, fmt.Sprintf("%s=%s", c.Key(), c.Value()))
	}
	if err := errors.Join(c.Err(), c.Close()); err != nil {
		return err.Error() + "\n"
	}
	return strings.Join(out, " ") + "\n"
}

func (p *player) rows(rows func(func(engine.Row, error) bool)) string {
	var out strings.Builder
	for row, err := range rows {
		switch {
		case err != nil:
			fmt.Fprintln(&out, err)
		case row.Restore != nil:
			fmt.Fprintf(&out, "%s restores %s..%s to %s\n", p.name(row.Version), row.Restore.Low, row.Restore.High, p.name(row.To))
		default:
			value := string(row.Value)
			if row.Deleted {
				value = "-"
			}
			fmt.Fprintf(&out, "%s..%s %s=%s%s\n", p.name(row.Version), p.name(row.Until), row.Key, value,
				map[bool]string{true: " hidden"}[row.Hidden])
		}
	}
	return out.String()
}

// stored shows what lies in Pebble of all keys.
func (p *player) stored() string {
	var out strings.Builder
	lines, err := p.e.timelines(engine.All, false, noVersion)
	must(p.t, err)
	for lines.next() {
		fmt.Fprintf(&out, "%s:", lines.line.key)
		for _, s := range lines.line.spans {
			until := ""
			if s.until != endVersion {
				until = p.name(s.until.external())
			}
			fmt.Fprintf(&out, " %s..%s%s", p.name(s.since.external()), until, map[bool]string{true: " (copy)"}[s.flags&rowRestored != 0])
		}
		fmt.Fprintln(&out)
	}
	must(p.t, errors.Join(lines.err, lines.close()))
	return out.String()
}
