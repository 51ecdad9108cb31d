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

// Of the places that say a value, why marks those that count in the rendering: an empty
// value may replace one below, or have no effect.
func TestWhyMarksWhatCounts(t *testing.T) {
	ws := tree(kargo.Environment{"STACKS": "s", "S_STACK": "a", "A_EXTENSION": "b", "PROXY": "http://p", "EMPTY": ""}, map[string]string{
		"deploy/a.yml": "services: {a: {image: x, user: root, command: run, environment: [PROXY, A=1, A=2, B=1, C=1, DEBUG=1, E]}}",
		"deploy/b.yml": `services: {a: {user: "${EMPTY}", command: [go], environment: {PROXY: "", B: "", C: , DEBUG: "${EMPTY}"}}}`,
	})
	_, origins, problems := render.Trace(ws)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, field := range []string{"user", "command", "environment.PROXY", "environment.A", "environment.B", "environment.C", "environment.DEBUG", "environment.E"} {
		fmt.Fprint(&got, field)
		for _, mention := range origins.Why("s.a."+field, false)[0].Mentions {
			fmt.Fprintf(&got, "; %s %q %q %v %v", mention.Where.File, mention.Text, mention.Value, mention.Variables, mention.Counts)
		}
		fmt.Fprintln(&got)
	}
	const want = `user; deploy/a.yml "root" "root" [] true; deploy/b.yml "${EMPTY}" "" [EMPTY] false
command; deploy/a.yml "run" "run" [] false; deploy/b.yml "" "" [] true
environment.PROXY; deploy/a.yml "${PROXY}" "http://p" [PROXY] false; deploy/b.yml "" "" [] true
environment.A; deploy/a.yml "2" "2" [] true
environment.B; deploy/a.yml "1" "1" [] false; deploy/b.yml "" "" [] true
environment.C; deploy/a.yml "1" "1" [] true; deploy/b.yml "${C}" "" [C] false
environment.DEBUG; deploy/a.yml "1" "1" [] false; deploy/b.yml "${EMPTY}" "" [EMPTY] true
environment.E; deploy/a.yml "${E}" "" [E] true
`
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}
