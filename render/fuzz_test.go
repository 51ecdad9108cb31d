package render_test

import (
	"testing"

	"golang.org/x/tools/txtar"

	"kargo/render"
	"kargo/test/golden"
)

// FuzzRender looks for a workspace that makes rendering panic, differ from one
// time to the next, answer nothing without saying why, or depend on whether the
// files are validated together.
func FuzzRender(f *testing.F) {
	for _, archive := range golden.Archives(f, "testdata/*.txtar") {
		f.Add(txtar.Format(archive))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ws := workspace(txtar.Parse(data))
		stacks, problems := render.Render(ws)
		again, _, problemsAgain := render.Each(ws, nil)
		if problems.Err() == nil && len(stacks) != len(ws.Env.List("STACKS")) {
			t.Errorf("%d stacks and no problem", len(stacks))
		}
		if golden.Lines(problems) != golden.Lines(problemsAgain) {
			t.Errorf("problems differ:\n%v\n%v", problems, problemsAgain)
		}
		if len(stacks) != len(again) {
			t.Fatalf("%d stacks, then %d", len(stacks), len(again))
		}
		for i := range stacks {
			if stacks[i].Digest() != again[i].Digest() {
				t.Errorf("stack %s differs", stacks[i].Name)
			}
		}
	})
}
