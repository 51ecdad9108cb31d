package compose_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"kargo"
	"kargo/render/compose"
	"kargo/render/view"
)

// The nodes of a file take many times its memory. After Release they can be had, and
// are not kept.
func TestReleaseKeepsPlacesAndNoNodes(t *testing.T) {
	const labels = 9_000
	var text strings.Builder
	text.WriteString("services:\n  web:\n    image: !override a:1\n    labels:\n")
	for i := range labels {
		fmt.Fprintf(&text, "      - key%d=value\n", i)
	}
	ws := kargo.Workspace{Root: "/srv/.kargo", Files: map[string]kargo.File{"deploy/web.yml": {Data: []byte(text.String())}}}
	var reader compose.Reader
	var report compose.Report
	files := reader.Read(view.New(ws).For("s"), &report, "s", []kargo.ComposeFile{{Path: "deploy/web.yml", Entry: "web"}})
	if files == nil {
		t.Fatal(report.Problems().Err())
	}
	kept := func() uint64 {
		runtime.GC()
		runtime.GC() // what the first one found is free now
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		return memory.HeapAlloc
	}
	places := func() string {
		trail, found := files.Trail("services.web.image", false)
		return fmt.Sprintln(files.Place("services", "web", "image"), files.Place("services", "web", "labels", "key8999"), found, trail.Mentions[0].Text)
	}

	wanted, before := "deploy/web.yml:3 deploy/web.yml:9004 true a:1\n", kept()
	if got := places(); got != wanted {
		t.Fatalf("before: %s, want %s", got, wanted)
	}
	files.Release()
	after := kept()
	if nodes := int64(before) - int64(after); nodes < labels*100 {
		t.Errorf("Release frees %d bytes; the nodes take more than %d", nodes, labels*100)
	}
	for range 2 {
		if got := places(); got != wanted {
			t.Errorf("after: %s, want %s", got, wanted)
		}
	}
	if again := kept(); int64(again)-int64(after) > labels*50 {
		t.Errorf("%d bytes are kept after somebody has asked", again-after)
	}
	runtime.KeepAlive(files)
}
