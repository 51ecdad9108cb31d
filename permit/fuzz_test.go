package permit_test

import (
	"path/filepath"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"kargo"
	"kargo/merge"
	"kargo/permit"
	"kargo/render"
)

// FuzzCheck looks for a rendering that makes the gate panic, or that a stricter
// policy lets pass where a milder one does not.
func FuzzCheck(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(section(archive, "user/.env")), []byte(section(archive, "user/deploy/app.yml")))
	}
	f.Fuzz(func(t *testing.T, env, app []byte) {
		ws, problems, err := merge.Merge(merge.Input{
			User: fstest.MapFS{".env": {Data: env}, "deploy/app.yml": {Data: app}}, Root: "/srv/.kargo", WorkspacePath: "/srv/workspace",
		})
		if err != nil || problems.Err() != nil {
			return
		}
		stacks, provenance, _ := render.Trace(ws)
		in := permit.Input{Stacks: stacks, Origins: provenance, Root: "/srv/.kargo", SocketNetwork: render.SocketNetwork(ws.Env)}
		refused := map[string]kargo.Problems{}
		for _, name := range policies {
			refused[name] = permit.Check(policy(t, name, ""), in)
		}
		// Places, not words: the words name the policy.
		strict := map[string]bool{}
		for _, problem := range refused[permit.Restricted] {
			strict[problem.Where()] = true
		}
		for _, problem := range refused[permit.Baseline] {
			if !strict[problem.Where()] {
				t.Errorf("restricted permits what baseline does not: %s", problem)
			}
		}
		if (refused[permit.Baseline].Err() != nil) && len(refused[permit.Open]) == 0 {
			t.Error("open does not warn")
		}
	})
}
