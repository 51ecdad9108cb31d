package render_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kargo"
	"kargo/render"
	"kargo/test/golden"
)

// Whether the files are validated together or each by itself makes no difference:
// not for the rules in testdata, and not with any line of theirs broken.
func TestFilesValidatedTogetherAreAsEachByItself(t *testing.T) {
	archives := golden.Archives(t, "testdata/*.txtar")
	for _, archive := range archives {
		sameEitherWay(t, workspace(archive))
	}
	rapid.Check(t, func(t *rapid.T) {
		ws := workspace(rapid.SampledFrom(archives).Draw(t, "archive"))
		for _, name := range slices.Sorted(maps.Keys(ws.Files)) {
			file := ws.Files[name]
			if at := rapid.IntRange(0, len(file.Data)).Draw(t, "at in "+name); at < len(file.Data) && rapid.IntRange(0, 3).Draw(t, "breaks") == 0 {
				data := append([]byte{}, file.Data...)
				data[at] = rapid.SampledFrom([]byte("x1:-[]{}\n \"$")).Draw(t, "with")
				file.Data = data
				ws.Files[name] = file
			}
		}
		sameEitherWay(t, ws)
	})
}

func sameEitherWay(t interface{ Fatalf(string, ...any) }, ws kargo.Workspace) {
	describe := func(stacks []kargo.Stack, _ *render.Provenance, problems kargo.Problems) string {
		text := golden.Lines(problems)
		for _, stack := range stacks {
			text += fmt.Sprintln(stack.Name, stack.Digest())
		}
		return text
	}
	if together, each := describe(render.Trace(ws)), describe(render.Each(ws, nil)); together != each {
		t.Fatalf("together:\n%s\neach by itself:\n%s", together, each)
	}
}

// The search for the files that are not valid finds all of them, and no other.
func TestInvalidFilesAmongManyAreFound(t *testing.T) {
	ws := bigWorkspace(40)
	for _, broken := range []string{"s0000-db", "s0017-web", "s0039-web"} {
		file := ws.Files["deploy/"+broken+".yml"]
		file.Data = []byte(strings.Replace(string(file.Data), "    command:", "    hostname: 12\n    command:", 1))
		ws.Files["deploy/"+broken+".yml"] = file
	}
	sameEitherWay(t, ws)
	stacks, problems := render.Render(ws)
	if len(stacks) != 37 || len(problems) != 3 {
		t.Errorf("%d stacks and these problems:\n%s", len(stacks), golden.Lines(problems))
	}
}
