package merge_test

import (
	"strings"
	"testing"

	"kargo/merge"
)

func TestReassign(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"bare", "A=1\nTAG=7.0\nB=2\n", "A=1\nTAG=7.2\nB=2\n"},
		{"with a comment", "\nTAG=7.0   # 7.0 is the oldest\n", "\nTAG=7.2   # 7.0 is the oldest\n"},
		{"double quotes", "\nTAG=\"7.0\"", "\nTAG=\"7.2\""},
		{"single quotes, exported", "\n  export TAG='7.0'\n", "\n  export TAG='7.2'\n"},
		{"beside others", "\nA=7.0 TAG=7.0 B=7.0\n", "\nA=7.0 TAG=7.2 B=7.0\n"},
		{"lines end as they did", "A=1\r\nTAG=7.0\r\n", "A=1\r\nTAG=7.2\r\n"},
		{"in a condition", "\nif [ -n \"$A\" ]; then TAG=7.0; fi\n", "\nif [ -n \"$A\" ]; then TAG=7.2; fi\n"},
		{"another value", "\nTAG=7.1\n", `the line does not give TAG the plain value "7.0"`},
		{"another variable", "\nTAGS=7.0\n", "the line assigns TAG 0 times"},
		{"twice", "\nTAG=7.0; TAG=7.0\n", "the line assigns TAG 2 times"},
		{"put together", "\nTAG=${A}.0\n", "the value of TAG is composed of other values"},
		{"a default", "\nTAG=\"${TAG:-7.0}\"\n", "the value of TAG is composed of other values"},
		{"half of it quoted", "\nTAG=7'.0'\n", "the value of TAG is composed of other values"},
		{"appended", "\nTAG+=7.0\n", "the line does not simply assign TAG"},
		{"several lines", "\nTAG='7.0\nmore'\n", "the line that assigns TAG is part of something longer"},
		{"too short a file", "TAG=7.0", "the file has no line 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := merge.Reassign([]byte(c.file), 2, "TAG", "7.0", "7.2")
			text := string(got)
			if err != nil {
				text = err.Error()
			}
			if text != c.want {
				t.Errorf("%q, want %q", text, c.want)
			}
		})
	}
	if _, err := merge.Reassign([]byte("TAG=7.0"), 1, "TAG", "7.0", "$(reboot)"); err == nil {
		t.Error("a value that bash would run was written")
	}
	if got, err := merge.Reassign([]byte("\ufeffTAG=\n"), 1, "TAG", "", "7"); string(got) != "\ufeffTAG=7\n" {
		t.Errorf("an empty value becomes %q (%v)", got, err)
	}
}

// Whatever the file holds: either it is left alone, or one line changes and
// reads as it should.
func FuzzReassign(f *testing.F) {
	for _, file := range []string{"TAG=7.0", "export TAG=\"7.0\" # c", "TAG='7.0'; B=1", "TAG=7.0\\", "TAG=$'7.0'", "x() { TAG=7.0; }"} {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\n") {
			return
		}
		file := "A=1\n" + line + "\nB=2\n"
		changed, err := merge.Reassign([]byte(file), 2, "TAG", "7.0", "7.2")
		if err != nil {
			return
		}
		back, err := merge.Reassign(changed, 2, "TAG", "7.2", "7.0")
		if err != nil || string(back) != file {
			t.Fatalf("%q became %q, and that %q (%v)", file, changed, back, err)
		}
	})
}
