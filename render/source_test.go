package render_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"kargo"
	"kargo/render"
)

// Decoded compose files take many times the memory of their text. What was rendered does
// not keep them, and still knows the places of all values.
func TestProvenanceKeepsNoComposeFiles(t *testing.T) {
	const labels = 9_000
	var text strings.Builder
	text.WriteString("services:\n  web:\n    image: a:1\n    labels:\n")
	for i := range labels {
		fmt.Fprintf(&text, "      - key%d=value\n", i)
	}
	ws := kargo.Workspace{
		Root: "/srv/.kargo", Env: kargo.Environment{"STACKS": "s", "S_STACK": "web"},
		Files: map[string]kargo.File{"deploy/web.yml": {Data: []byte(text.String())}},
	}
	stacks, origins, problems := render.Trace(ws)
	if len(stacks) != 1 {
		t.Fatal(problems.Err())
	}
	kept := func() int {
		runtime.GC()
		runtime.GC() // what the first one found is free now
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		return int(memory.HeapAlloc)
	}
	before := kept()
	trails := fmt.Sprint(origins.Why("web.image", false)[0].Mentions[0].Text, " ", len(origins.Why("web.imagine", false)))
	if trails != "a:1 0" {
		t.Errorf("got %q", trails)
	}
	if more := kept() - before; more > labels*50 {
		t.Errorf("%d bytes are kept after somebody has asked why", more)
	}
	place := fmt.Sprint(origins.Place("kargo-s_web", "image"), " ", origins.Place("kargo-s_web", "labels", "key8999"))
	if place != "deploy/web.yml:3 deploy/web.yml:9004" {
		t.Errorf("got %q", place)
	}
	if more := kept() - before; more < labels*100 {
		t.Errorf("the files take only %d bytes, so they were kept before", more)
	}
	runtime.KeepAlive(origins)
	runtime.KeepAlive(stacks)
}
