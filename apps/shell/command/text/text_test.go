package text

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLongLines(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	var lengths []int
	err := eachLine(strings.NewReader(long+"\n\n"+long+"\nend"), nil, func(line []byte) (bool, error) {
		lengths = append(lengths, len(line))
		return true, nil
	})
	if err != nil || len(lengths) != 4 || lengths[0] != len(long) || lengths[1] != 0 || lengths[2] != len(long) || lengths[3] != 3 {
		t.Errorf("%v, %v", lengths, err)
	}
}

func FuzzLines(f *testing.F) {
	f.Add("a\n\nb")
	f.Fuzz(func(t *testing.T, text string) {
		var joined strings.Builder
		if err := eachLine(strings.NewReader(text), nil, func(line []byte) (bool, error) {
			joined.Write(line)
			joined.WriteByte('\n')
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
		want := text
		if want != "" && !strings.HasSuffix(want, "\n") {
			want += "\n"
		}
		if joined.String() != want {
			t.Errorf("%q comes out as %q", text, joined.String())
		}
	})
}

func FuzzSpans(f *testing.F) {
	f.Add("1,3-5,7-")
	f.Fuzz(func(t *testing.T, list string) {
		spans, err := parseSpans(list)
		if err != nil {
			return
		}
		for _, s := range spans {
			if s.from < 1 || s.to < s.from || !chosen(spans, s.from) {
				t.Errorf("%q: %+v", list, s)
			}
		}
	})
}

func TestSets(t *testing.T) {
	for set, want := range map[string]string{
		"a-e": "abcde", `\n\t\\`: "\n\t\\", "[:digit:]x": "0123456789x", "a-": "a-", `\101\0`: "A\x00", "-a": "-a", "äö": "äö",
	} {
		if got, err := expandSet(set); err != nil || string(got) != want {
			t.Errorf("%q is %q, %v; want %q", set, string(got), err, want)
		}
	}
	for _, bad := range []string{"e-a", "[:none:]", "\xff", "a-\xff"} {
		if got, err := expandSet(bad); err == nil {
			t.Errorf("%q is %q", bad, string(got))
		}
	}
}

func FuzzTranslate(f *testing.F) {
	f.Add("a-z", "A-Z", "some text\xff", true)
	f.Fuzz(func(t *testing.T, from, to, text string, squeeze bool) {
		set1, err1 := expandSet(from)
		set2, err2 := expandSet(to)
		if err1 != nil || err2 != nil || len(set2) == 0 {
			return
		}
		var out bytes.Buffer
		tr := &translation{from: set1, to: set2, squeeze: squeeze}
		if err := tr.run(&out, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		if !squeeze && utf8.RuneCount(out.Bytes()) != utf8.RuneCountInString(text) {
			t.Errorf("%q by %q to %q: %q", text, from, to, out.String())
		}
	})
}
