package merge_test

import (
	"io/fs"
	"maps"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"kargo"
	"kargo/merge"
	"kargo/test/golden"
)

// archiveOf is an archive of the given files.
func archiveOf(texts map[string]*strings.Builder) *txtar.Archive {
	archive := &txtar.Archive{}
	for name, text := range texts {
		archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(text.String())})
	}
	return archive
}

// FuzzEnv looks for an environment file that panics, hangs, grows without
// bounds, or means two things to the two readers.
func FuzzEnv(f *testing.F) {
	for _, archive := range golden.Archives(f, "testdata/*.txtar") {
		f.Add(golden.Section(archive, "user/.env"))
		f.Add(golden.Section(archive, "defaults/.env.default"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		dotenv, bash, plain, problems := merge.ReadBoth(agreeInput, text)
		if problems.Err() != nil {
			return
		}
		if plain && !maps.Equal(dotenv, bash) {
			t.Errorf("%q\ndotenv: %v\nbash:   %v", text, dotenv, bash)
		}
		total := 0
		for _, value := range bash {
			total += len(value)
		}
		if total > 9<<20 {
			t.Errorf("%q makes %d bytes", text, total)
		}
	})
}

// FuzzTemplate looks for a template that panics, or loses text that is no
// reference.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"$A", "${A}", "${A", "$$A", "$", "${}", "$1", "a$A b", "${A:-b}", "\\$A", "$A$B${A}", "é$Aé"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		same := kargo.Environment{}
		for _, field := range strings.FieldsFunc(text, func(r rune) bool {
			return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}) {
			same[field] = "$" + field
		}
		got, problems := merge.ExpandTemplate("x.tpl", []byte(text), same)
		if len(problems) > 0 {
			t.Fatalf("%q: %v", text, problems)
		}
		// With every variable standing for its own reference, only the braces
		// of ${NAME} may go.
		if strip(string(got)) != strip(text) {
			t.Errorf("%q became %q", text, got)
		}
	})
}

func strip(text string) string { return strings.NewReplacer("{", "", "}", "").Replace(text) }

// Nesting as deep as a file can be long must end in an answer: a stack that
// overflows cannot be caught and would end the controller.
func TestDeepNesting(t *testing.T) {
	for _, text := range []string{"A=$(", "((", "A=${A:-", "{ ", "if ", "A=\"$(", "$((", "A=`", "[[ (", "! ", "A=$((1+(", "case x in x) ", "A=$((-", "A=$((1?", "a && ", "a | ", "time ", "function a ", "A=${A[", "A=(("} {
		_, _, _, problems := merge.ReadBoth(agreeInput, strings.Repeat(text, (256<<10)/len(text)))
		if problems.Err() == nil {
			t.Errorf("%q repeated is accepted", text)
		}
	}
}

// FuzzMerge looks for layers that make the merge panic, differ from one time to
// the next, or come to more than a controller should hold.
func FuzzMerge(f *testing.F) {
	for _, archive := range golden.Archives(f, "testdata/*.txtar") {
		f.Add(txtar.Format(archive))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		archive := txtar.Parse(data)
		for _, file := range archive.Files {
			if !fs.ValidPath(file.Name) {
				return // no tree of any kind has it, and a MapFS walks in circles
			}
		}
		in := input(archive)
		ws, problems, err := merge.Merge(t.Context(), in)
		if err != nil {
			return // a file in the place of a folder
		}
		again, problemsAgain, _ := merge.Merge(t.Context(), in)
		if golden.Lines(problems) != golden.Lines(problemsAgain) {
			t.Errorf("problems differ:\n%v\n%v", problems, problemsAgain)
		}
		if problems.Err() == nil && workspaceText(ws) != workspaceText(again) {
			t.Errorf("the workspace differs:\n%s\n%s", workspaceText(ws), workspaceText(again))
		}
		total := 0
		for _, file := range ws.Files {
			total += len(file.Data)
		}
		if total > len(data)+33<<20 {
			t.Errorf("%d bytes became %d", len(data), total)
		}
	})
}
