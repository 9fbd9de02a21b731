package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tuplix/tuplix/board/host"
	"github.com/tuplix/tuplix/dbms/engine"
	"github.com/tuplix/tuplix/dbms/store"
	"github.com/tuplix/tuplix/dbms/table"
)

type storedFile struct {
	Dir  string `table:"key"`
	Name string `table:"key"`
	Size int64
}

// makeStore makes a disk with some tables, on which an attacker has been.
func makeStore(t *testing.T, path string) {
	t.Helper()
	files := table.Declare[storedFile]("file")
	files.Index("size", "size")
	s, err := host.Open(t.Context(), path, host.Options{Size: 32 << 20}, store.Options{}, files)
	if err != nil {
		t.Fatal(err)
	}
	update := func(user, name string, fn func(*table.Tx) error) {
		if _, err := s.Update(t.Context(), &engine.Op{User: user, Program: "test", Name: name}, fn); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []storedFile{{"/a", "1", 1}, {"/a", "2", 2}, {"/b", "1", 3}} {
		update("ann", "save", func(tx *table.Tx) error { return files.Insert(tx, &f) })
	}
	update("mallory", "encrypt", func(tx *table.Tx) error {
		_, err := files.DeleteRange(tx, table.Prefix("/a"))
		return err
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// tool runs the tool and returns its exit status and standard output.
func tool(t *testing.T, args ...string) (int, string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdout
	os.Stdout = w
	out := make(chan string)
	go func() {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r)
		out <- b.String()
	}()
	status := dispatch(t.Context(), args)
	os.Stdout = old
	w.Close()
	return status, <-out
}

func TestStore(t *testing.T) {
	dir := t.TempDir()
	disk, full := filepath.Join(dir, "d.img"), filepath.Join(dir, "full")
	makeStore(t, disk)
	does := func(want string, args ...string) string {
		t.Helper()
		status, out := tool(t, append([]string{"store"}, args...)...)
		if status != 0 || !strings.Contains(out, want) {
			t.Fatalf("%q: status %d, and %q is not in\n%s", args, status, want, out)
		}
		return out
	}
	does("index size (size)", "tables", disk)
	does("mallory", "log", "-n", "1", disk)
	if out := does("", "rows", "-table", "file", disk); out != `{"dir":"/b","name":"1","size":3}`+"\n" {
		t.Fatalf("rows: %s", out)
	}
	var newest []struct{ Version, User string }
	for line := range strings.Lines(does("", "log", "-json", "-n", "2", disk)) {
		var l struct{ Version, User string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		newest = append(newest, l)
	}
	good := newest[1].Version
	does(`"name":"2"`, "rows", "-table", "file", "-at", good, "-key", "/a,2", disk)
	does("mallory  test     encrypt  1             2", "restore", "-to", good, "-table", "file", "-key", "/a", "-dry-run", disk)
	var plan planJSON
	if err := json.Unmarshal([]byte(does("", "restore", "-to", good, "-dry-run", "-json", disk)), &plan); err != nil || plan.Transactions != 1 || plan.By[0].User != "mallory" {
		t.Fatalf("%+v %v", plan, err)
	}
	undo := does("To undo this", "restore", "-to", good, "-table", "file", "-key", "/a", disk)
	does(`"name":"2"`, "rows", "-table", "file", "-key", "/a", disk)
	does("is whole", "check", disk)
	does("", "backup", disk, full)
	copied := filepath.Join(dir, "copy.img")
	does("", "load", "-size", "32", copied, full)
	does("is whole", "check", copied)
	does(`"name":"2"`, "rows", "-table", "file", "-key", "/a", copied)

	_, command, _ := strings.Cut(strings.TrimSpace(undo), "tuplix store ")
	does("is as it was", strings.Fields(command)...)
	if out := does("", "rows", "-table", "file", "-key", "/a", disk); out != "" {
		t.Errorf("after undoing the restore: %s", out)
	}
	more := filepath.Join(dir, "more")
	does("", "backup", "-after", full, disk, more)
	does("", "load", copied, more)
	if out := does("", "rows", "-table", "file", "-key", "/a", copied); out != "" {
		t.Errorf("after the increment: %s", out)
	}
	does("oldest version", "stats", disk)
}

// What makes no sense is said, and nothing is made or changed.
func TestStoreRefusals(t *testing.T) {
	dir := t.TempDir()
	disk := filepath.Join(dir, "d.img")
	makeStore(t, disk)
	blank := filepath.Join(dir, "blank.img")
	v, err := host.OpenVolume(blank, host.Options{Size: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		status int
		args   []string
	}{
		{exitUsage, []string{"frob", disk}},
		{exitUsage, []string{"log"}},
		{exitUsage, []string{"restore", disk}},
		{exitUsage, []string{"restore", "-to", "yesterday", disk}},
		{exitUsage, []string{"restore", "-to", "1m", "-key", "/a", disk}},
		{exitFailure, []string{"restore", "-to", "1000h", disk}},
		{exitFailure, []string{"rows", "-table", "nothing", disk}},
		{exitFailure, []string{"log", blank}},
		{exitFailure, []string{"log", filepath.Join(dir, "missing.img")}},
		{exitFailure, []string{"load", disk, blank}},
	} {
		if status, out := tool(t, append([]string{"store"}, test.args...)...); status != test.status || out != "" {
			t.Errorf("%q: status %d, %q", test.args, status, out)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "missing.img")); !errors.Is(err, os.ErrNotExist) {
		t.Error("looking at a disk that is not there has made one")
	}
}

func TestParseMoment(t *testing.T) {
	now := time.Date(2026, 11, 21, 15, 4, 5, 0, time.UTC)
	for text, want := range map[string]string{
		"10m":                       "2026-11-21T14:54:05Z",
		"2h30m":                     "2026-11-21T12:34:05Z",
		"2026-11-20T01:02:03+01:00": "2026-11-20T00:02:03Z",
		"2026-11-20 01:02:03":       "2026-11-20T01:02:03Z",
		"2026-11-20":                "2026-11-20T00:00:00Z",
		"13:14":                     "2026-11-21T13:14:00Z",
		"13:14:15":                  "2026-11-21T13:14:15Z",
		"-5m":                       "",
		"soon":                      "",
	} {
		got, err := parseMoment(text, now)
		if (err != nil) != (want == "") || err == nil && got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%q: %v %v, want %s", text, got, err, want)
		}
	}
}
