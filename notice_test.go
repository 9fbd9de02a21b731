package tuplix_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write NOTICE anew")

// images are the packages whose dependencies end up in images.
var images = []string{"./apps/hello", "./apps/shell", "./board/..."}

// linked is a module that images contain.
type linked struct {
	Path, Version, Dir string
	Main               bool
	Replace            *linked
}

// linkedModules returns the modules that are linked into images, sorted.
func linkedModules(t *testing.T) []linked {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=Module"}, images...)...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]linked)
	for in := json.NewDecoder(out); ; {
		var p struct{ Module *linked }
		if err := in.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Module != nil && !p.Module.Main {
			found[p.Module.Path] = *p.Module
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	var list []linked
	for _, m := range found {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b linked) int { return strings.Compare(a.Path, b.Path) })
	return list
}

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([-.].*)?$`)

// kinds are told apart by a sentence that each has and the others have not.
var kinds = []struct{ name, sentence string }{
	{"Apache-2.0", "Apache License Version 2.0, January 2004"},
	{"MPL-2.0", "Mozilla Public License Version 2.0"},
	{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy"},
	{"BSD-3-Clause", "endorse or promote products derived from this software without specific prior written permission"},
	{"BSD-2-Clause", "Redistribution and use in source and binary forms, with or without modification"},
	{"ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose"},
	{"ISC", "Permission to use, copy, modify, and distribute this software for any purpose"},
}

var blanks = regexp.MustCompile(`[\s*#]+`)

// kind names the licence that a text is, "" if it is none that we know.
func kind(text string) string {
	flat := strings.ToLower(blanks.ReplaceAllString(text, " "))
	for _, k := range kinds {
		if strings.Contains(flat, strings.ToLower(k.sentence)) {
			return k.name
		}
	}
	return ""
}

// licence returns the kinds and the texts of the licence files of a module.
func licence(t *testing.T, dir string) (names []string, texts []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() || !licenceFile.MatchString(e.Name()) || filepath.Ext(e.Name()) == ".go" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		clean := strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n"))
		texts = append(texts, clean)
		if name := kind(clean); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, texts
}

// notice makes the text of NOTICE: a table of the modules, then each licence
// text once, with the modules that it is of.
func notice(t *testing.T) string {
	t.Helper()
	var table strings.Builder
	var texts []string
	users := make(map[string][]string)
	add := func(name, version, dir string) {
		names, found := licence(t, dir)
		if len(names) == 0 {
			t.Errorf("%s: no licence that is known in %s", name, dir)
		}
		fmt.Fprintf(&table, "%s %s: %s\n", name, version, strings.Join(names, ", "))
		for _, text := range found {
			if users[text] == nil {
				texts = append(texts, text)
			}
			users[text] = append(users[text], name)
		}
	}
	root, version := goroot(t)
	add("Go standard library and runtime", version, root)
	for _, m := range linkedModules(t) {
		if m.Replace != nil {
			m.Version, m.Dir = m.Replace.Version, m.Replace.Dir
		}
		add(m.Path, m.Version, m.Dir)
	}
	var out strings.Builder
	out.WriteString(noticeHead)
	out.WriteString(table.String())
	for _, text := range texts {
		fmt.Fprintf(&out, "\n%s\n%s\n\n%s\n", strings.Repeat("-", 72), strings.Join(users[text], "\n"), text)
	}
	return out.String()
}

const noticeHead = `Tuplix is under the licence in the file LICENSE. Its images contain the following
software of others, under the licences named here and printed below.
This file is written by: go test -run Notice -update .

`

// goroot returns where the Go distribution is, and its language version, which
// unlike that of the release at hand go.mod decides.
func goroot(t *testing.T) (dir, version string) {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	if m == nil {
		t.Fatal("go.mod names no version of Go")
	}
	return strings.TrimSpace(string(out)), string(m[1])
}

func TestNotice(t *testing.T) {
	want := notice(t)
	if *update {
		if err := os.WriteFile("NOTICE", []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile("NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("NOTICE is not what the images contain now; go test -run Notice -update . writes it anew")
	}
}
