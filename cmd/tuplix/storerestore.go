package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/tuplix/tuplix/board/host"
	"github.com/tuplix/tuplix/dbms/backup"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
)

// restore puts the target back, or shows what that would undo.
func (s *storeFlags) restore(ctx context.Context, o *store.Store) error {
	if s.to == "" {
		return usagef("restore -to which moment? \"tuplix store log\" shows what happened when")
	}
	if s.key != "" && s.table == "" {
		return usagef("-key is about the rows of a -table")
	}
	to, err := moment(ctx, o, s.to)
	if err != nil {
		return err
	}
	target, err := s.target(ctx, o, to)
	if err != nil {
		return err
	}
	if s.dryRun {
		plan, err := o.Plan(ctx, target, to)
		if err != nil {
			return err
		}
		return s.printPlan(plan)
	}
	op := s.op("restore " + target.String())
	v, err := o.Restore(ctx, &op, target, to)
	if err != nil {
		return err
	}
	before, err := s.before(ctx, o, v)
	if err != nil {
		return err
	}
	fmt.Printf("%s is as it was at %s. To undo this: tuplix store restore -to %s", target, versionText(to), before)
	if s.table != "" {
		fmt.Printf(" -table %s", s.table)
	}
	if s.key != "" {
		fmt.Printf(" -key %s", s.key)
	}
	fmt.Printf(" %s\n", s.path)
	return nil
}

// before is the last version before v.
func (s *storeFlags) before(ctx context.Context, o *store.Store, v engine.Version) (text string, err error) {
	err = o.View(ctx, func(tx *table.Tx) error {
		for c, err := range tx.Raw().Commits("", true) {
			if err != nil {
				return err
			}
			if c.Version < v {
				text = versionText(c.Version)
				return nil
			}
		}
		return errors.New("nothing is known from before the restore")
	})
	return text, err
}

// target is what the flags name. The key is read by the table as it was.
func (s *storeFlags) target(ctx context.Context, o *store.Store, to engine.Version) (store.Target, error) {
	t := store.Target{Table: s.table}
	if s.key == "" {
		return t, nil
	}
	err := o.ViewAt(ctx, to, func(tx *table.Tx) error {
		d, err := tx.Describe(s.table)
		if err == nil {
			t.Key, err = s.keyValues(d)
		}
		return err
	})
	return t, err
}

// planJSON is a plan for programs.
type planJSON struct {
	Table        string          `json:"table,omitempty"`
	Key          []any           `json:"key,omitempty"`
	To           string          `json:"to"`
	Transactions int             `json:"transactions"`
	Restores     int             `json:"restores"`
	First        time.Time       `json:"first"`
	Last         time.Time       `json:"last"`
	Tables       []store.Touched `json:"tables"`
	By           []store.Author  `json:"by"`
}

func (s *storeFlags) printPlan(p *store.Plan) error {
	if s.json {
		return printJSON(planJSON{
			p.Target.Table, p.Target.Key, versionText(p.To), p.Transactions, p.Restores, p.First, p.Last, p.Tables, p.By,
		})
	}
	if p.Transactions == 0 {
		fmt.Printf("Nothing of %s was changed since.\n", p.Target)
		return nil
	}
	fmt.Printf("A restore of %s to %s would undo %d transactions", p.Target, versionText(p.To), p.Transactions)
	if p.Restores > 0 {
		fmt.Printf(", %d of them restores", p.Restores)
	}
	fmt.Printf(",\nfrom %s to %s.\n\n", stamp(p.First), stamp(p.Last))
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "table\trows\twritten\tdeleted\t")
	for _, t := range p.Tables {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t\n", t.Table, t.Rows, t.Written, t.Deleted)
	}
	fmt.Fprintln(w, "\nby\tprogram\twhat\ttransactions\trows\t")
	for _, a := range p.By {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t\n", a.User, a.Program, a.Name, a.Transactions, a.Rows)
	}
	return w.Flush()
}

func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05.000") }

// backup writes a full backup, or an increment.
func (s *storeFlags) backup(ctx context.Context, o *store.Store) (err error) {
	from := engine.Version("")
	if s.after != "" {
		h, err := s.headOf(s.after)
		if err != nil {
			return err
		}
		from = h.To
	}
	out := os.Stdout
	if s.file != "-" {
		if out, err = os.OpenFile(s.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return err
		}
		defer func() {
			if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
				err = errors.Join(err, os.Remove(s.file))
			}
		}()
	}
	p := startProgress(os.Stderr, "backing up "+s.path)
	sum, err := backup.Write(ctx, o.Engine(), out, from, nil)
	p.stop()
	if err == nil {
		fmt.Fprintf(os.Stderr, "%d records, %d bytes, up to version %s\n", sum.Records, sum.Bytes, versionText(sum.To))
	}
	return err
}

// headOf proves that a backup is whole and says where it ends.
func (s *storeFlags) headOf(path string) (backup.Summary, error) {
	f, err := os.Open(path)
	if err != nil {
		return backup.Summary{}, err
	}
	defer f.Close()
	sum, err := backup.Read(f)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return sum, err
}

// load applies a backup to a disk, which it makes if there is none.
func (s *storeFlags) load(ctx context.Context) error {
	in := io.Reader(os.Stdin)
	if s.file != "-" {
		f, err := os.Open(s.file)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	return s.withVolume(ctx, s.size<<20, func(v *host.Volume) error {
		e, err := store.OpenEngine(v, s.options())
		if err != nil {
			return err
		}
		p := startProgress(os.Stderr, "loading into "+s.path)
		sum, err := backup.Load(ctx, e, in, nil)
		p.stop()
		if err = errors.Join(err, e.Close()); err == nil {
			fmt.Fprintf(os.Stderr, "%d records, %d bytes\n", sum.Records, sum.Bytes)
		}
		return err
	})
}
